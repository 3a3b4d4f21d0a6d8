// Coming in: by name and password, or for the first time by a one-time link.

import { send, taken } from "../api.js";
import { el, put } from "../dom.js";
import { t } from "../words.js";

export function show(main, shared, link) {
  const first = Boolean(link);
  const told = el("div", { role: "alert" });
  const field = (name, type, more = {}) => el("label", { class: "field" }, el("span", {}, t(`enter.${name}`)), el("input", { name, type, ...more }));
  const form = el("form", { onsubmit: async (event) => {
    event.preventDefault();
    const { name, password, again } = Object.fromEntries(new FormData(form));
    if (first && password !== again) { put(told, el("p", { class: "problem" }, t("enter.differ"))); return; }
    try {
      taken(first ? await send("POST", "/welcome", { link, password, name: name ?? "" }) : await send("POST", "/session", { name, password }));
      location.assign("/");
    } catch (error) { put(told, el("p", { class: "problem" }, error.message)); }
  } },
  field("name", "text", { autocomplete: "username", required: !first, autofocus: true }),
  first ? el("p", { class: "soft small" }, t("enter.name-hint")) : null,
  field("password", "password", { autocomplete: first ? "new-password" : "current-password", required: true }),
  first ? [field("again", "password", { autocomplete: "new-password", required: true }), el("p", { class: "soft small" }, t("enter.password-hint"))] : null,
  told, el("button", { class: "main" }, first ? t("enter.begin") : t("enter.sign-in")));
  put(main, el("div", { class: "enter" }, el("div", { class: "card" }, el("h1", {}, first ? t("enter.welcome") : t("enter.title")), form)));
}
