/* look_ports.c: whether the listeners can be had, and who has them. */
#include "core/config/value.h"
#include "core/doctor/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UNAVAILABLE 69

struct listener {
    const char *what;
    const char *address;
    const char *option;
    const char *key;
};

static void look_taken(const struct doctor *doctor, const struct listener *listener, uint16_t port,
                       struct findings *findings) {
    char who[128];
    bool known = host_listener(doctor, port, who, sizeof who);
    if (doctor->running.found) {
        finding_add(findings, FINDING_OK, "ports", "%s: %s has %s, and a router runs here", listener->what,
                    known ? who : "somebody", listener->address);
        return;
    }
    struct finding *finding =
        finding_fail(findings, UNAVAILABLE, "ports", "%s: %s is taken, by %s", listener->what,
                     listener->address, known ? who : "a program that can not be told from here");
    finding_advise(finding, "stop it, or choose another port: serve %s, or the key %s%s", listener->option,
                   listener->key, known ? "" : "; `ss -tlnp` as root says who has it");
}

static void look_refused(const struct listener *listener, int error, struct findings *findings) {
    struct finding *finding = finding_fail(findings, UNAVAILABLE, "ports", "%s: %s can not be had: %s",
                                           listener->what, listener->address, strerror(-error));
    if (error == -EACCES)
        finding_advise(finding,
                       "a port from 1024 on, or AmbientCapabilities=CAP_NET_BIND_SERVICE in the unit");
    else if (error == -EADDRNOTAVAIL)
        finding_advise(finding, "an address of this machine (`ip address`); if it comes later, wait for "
                                "network-online.target");
    else
        finding_advise(finding, "another address or port");
}

/* What connects out may be given the port of a router that is just being started anew. */
static void look_range(const struct doctor *doctor, const struct listener *listener, uint16_t port,
                       struct findings *findings) {
    uint64_t range[2];
    if (!host_numbers(doctor, "proc/sys/net/ipv4/ip_local_port_range", range, 2) || port < range[0] ||
        port > range[1])
        return;
    finding_advise(finding_add(findings, FINDING_NOTE, "ports",
                               "%s: port %u is one that the kernel gives to outgoing connections (%llu to "
                               "%llu): one may have it when the router is started",
                               listener->what, port, (unsigned long long)range[0],
                               (unsigned long long)range[1]),
                   "a port outside, or `sysctl net.ipv4.ip_local_reserved_ports=%u`", port);
}

static void look_listener(const struct doctor *doctor, const struct listener *listener,
                          struct findings *findings) {
    struct config_address address;
    uint16_t port = 0;
    if (strcmp(listener->address, "off") == 0 ||
        !config_address_parse(listener->address, strlen(listener->address), &address))
        return;
    int fd = doctor->probes.listen(listener->address, &port);
    if (fd == -EADDRINUSE)
        look_taken(doctor, listener, address.port, findings);
    else if (fd < 0)
        look_refused(listener, fd, findings);
    else
        finding_add(findings, FINDING_OK, "ports", "%s: %s can be had", listener->what, listener->address);
    if (fd >= 0)
        (void)close(fd);
    if (address.port != 0)
        look_range(doctor, listener, address.port, findings);
}

void doctor_look_ports(const struct doctor *doctor, struct findings *findings) {
    const struct config *config = doctor->config;
    const struct listener listeners[] = {
        {"native protocol", config->listen_native, "--listen", "listen.native"},
        {"admin", config->listen_admin, "--admin", "listen.admin"},
        {"HTTP in", config->listen_ingest, "--ingest", "listen.ingest"}};
    for (size_t i = 0; i < sizeof listeners / sizeof listeners[0]; i++)
        look_listener(doctor, &listeners[i], findings);
    if (config->listen_public)
        finding_advise(finding_add(findings, FINDING_NOTE, "ports",
                                   "other machines reach a listener, and nobody is asked for a password"),
                       "only in a network in which everybody is trusted; else a firewall, a VPN or a TLS "
                       "tunnel in front");
}
