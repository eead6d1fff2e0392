/* http_client.h: a client of a server on loopback that sends bytes as they are and takes what comes.
 * Owner: the caller closes the descriptor and frees what was heard.
 * One thread for one connection.
 * Blocks until the server answers, for a minute at most.
 * Fails by Criterion's assertions. */
#pragma once

#include <netinet/in.h>
#include <stddef.h>

int http_open(const struct sockaddr_in *address);
/* The server may close early: what it answered is what counts. */
void http_say(int fd, const char *text, size_t length);
/* Until `end` has come, or, with NULL, until the server closes. */
char *http_hear(int fd, const char *end);
/* One connection for one request, until the server closes. */
char *http_ask(const struct sockaddr_in *address, const char *request, size_t length);
/* 0: it is no answer. */
int http_status(const char *answer);
