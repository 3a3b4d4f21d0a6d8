/* A Modbus TCP server on libmodbus: many ports, every unit, every register holds its own address.
 *
 *     modbus_server PORTS [walk]  listens on so many free ports of 127.0.0.1, prints them on one line, serves until killed
 *
 * With `walk`, registers that are read move by -2 to +2 first, as measured quantities do.
 * Coils and discrete inputs hold the lowest bit of their address. Writes go into the one memory that all ports share.
 */
#include <modbus/modbus.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REGISTERS = 65535, EVENTS = 256, PORTS_MAX = 1024 };

static int is_listener[65536];

static void watch(int poll, int fd)
{
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };
    epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
}

static int listen_somewhere(modbus_t *context)
{
    int fd = modbus_tcp_listen(context, 16);
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    if (fd < 0 || getsockname(fd, (struct sockaddr *)&address, &length) < 0) {
        perror("listen");
        exit(1);
    }
    printf("%d ", ntohs(address.sin_port));
    return fd;
}

static void walk(const uint8_t *query, modbus_mapping_t *memory)
{
    static uint32_t state = 2463534242u;
    int first = query[8] << 8 | query[9], count = query[10] << 8 | query[11];
    for (int i = first; i < first + count && i < REGISTERS; i++) {
        state ^= state << 13, state ^= state >> 17, state ^= state << 5;
        memory->tab_registers[i] += (int)(state % 5) - 2;
        memory->tab_input_registers[i] = memory->tab_registers[i];
    }
}

int main(int argc, char **argv)
{
    int ports = argc > 1 ? atoi(argv[1]) : 1;
    modbus_mapping_t *memory = modbus_mapping_new(REGISTERS, REGISTERS, REGISTERS, REGISTERS);
    modbus_t *context = modbus_new_tcp("127.0.0.1", 0);
    int poll = epoll_create1(0);
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    struct epoll_event events[EVENTS];

    if (ports < 1 || ports > PORTS_MAX || !memory || !context || poll < 0) {
        fprintf(stderr, "usage: modbus_server PORTS (1 to %d)\n", PORTS_MAX);
        return 2;
    }
    for (int i = 0; i < REGISTERS; i++) {
        memory->tab_registers[i] = memory->tab_input_registers[i] = (uint16_t)i;
        memory->tab_bits[i] = memory->tab_input_bits[i] = i & 1;
    }
    for (int i = 0; i < ports; i++) {
        int fd = listen_somewhere(context);
        is_listener[fd] = 1;
        watch(poll, fd);
    }
    printf("\n");
    fflush(stdout);
    for (;;) {
        int count = epoll_wait(poll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (is_listener[fd]) {
                int listener = fd;
                if ((fd = modbus_tcp_accept(context, &listener)) >= 0)
                    watch(poll, fd);
                continue;
            }
            modbus_set_socket(context, fd);
            int length = modbus_receive(context, query);
            if (length > 0 && argc > 2)
                walk(query, memory);
            if (length > 0)
                modbus_reply(context, query, length, memory);
            else if (length < 0)
                close(fd);
        }
    }
}
