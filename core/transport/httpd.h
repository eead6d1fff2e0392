/* httpd.h: libmicrohttpd, loaded when HTTP in is started: with the libraries that it brings it takes 3 MiB
 * that a command, or a router without HTTP in, has no use for.
 * Owner: nobody; once loaded it stays. Any thread may call.
 * Blocks while it is loaded, once.
 * Fails by NULL and a sentence: the library is not there, or lacks a function. */
#pragma once

#include <microhttpd.h>
#include <stddef.h>

struct httpd_table {
    __typeof__(&MHD_start_daemon) start_daemon;
    __typeof__(&MHD_stop_daemon) stop_daemon;
    __typeof__(&MHD_run) run;
    __typeof__(&MHD_get_timeout) get_timeout;
    __typeof__(&MHD_get_daemon_info) get_daemon_info;
    __typeof__(&MHD_get_connection_info) get_connection_info;
    __typeof__(&MHD_get_connection_values) get_connection_values;
    __typeof__(&MHD_lookup_connection_value) lookup_connection_value;
    __typeof__(&MHD_suspend_connection) suspend_connection;
    __typeof__(&MHD_resume_connection) resume_connection;
    __typeof__(&MHD_create_response_from_buffer) create_response_from_buffer;
    __typeof__(&MHD_add_response_header) add_response_header;
    __typeof__(&MHD_queue_response) queue_response;
    __typeof__(&MHD_destroy_response) destroy_response;
};

const struct httpd_table *httpd_load(char *why, size_t why_bytes);
