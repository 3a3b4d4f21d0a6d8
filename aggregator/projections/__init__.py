"""What is made of the log and can be made of it again, and what the streams tell beside it."""
