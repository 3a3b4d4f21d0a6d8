/* A Modbus TCP master on libmodbus, as a controller beside a gateway has one.
 *
 *     modbus_master PORT FUNCTION ADDRESS COUNT   prints each pair of registers as f32, high word first (ABCD)
 *     modbus_master PORT 6 ADDRESS VALUE          writes one register
 */
#include <errno.h>
#include <modbus/modbus.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    uint16_t registers[MODBUS_MAX_READ_REGISTERS];
    if (argc != 5)
        return 2;
    int function = atoi(argv[2]), address = atoi(argv[3]), count = atoi(argv[4]), done;
    modbus_t *context = modbus_new_tcp("127.0.0.1", atoi(argv[1]));
    if (!context || modbus_connect(context) < 0) {
        perror("connect");
        return 1;
    }
    if (function == 6)
        done = modbus_write_register(context, address, (uint16_t)count);
    else if (function == 3)
        done = modbus_read_registers(context, address, count, registers);
    else
        done = modbus_read_input_registers(context, address, count, registers);
    if (done < 0)
        fprintf(stderr, "%s\n", modbus_strerror(errno));
    else if (function != 6)
        for (int i = 0; i + 1 < count; i += 2)
            printf("%g\n", (double)modbus_get_float_abcd(registers + i));
    modbus_close(context);
    modbus_free(context);
    return done < 0;
}
