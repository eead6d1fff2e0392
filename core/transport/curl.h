/* curl.h: libcurl, loaded when the first webhook is started: with its own libraries it takes over 4 MiB that
 * a router without webhooks has no use for.
 * Owner: nobody; once loaded it stays. Any thread may call.
 * Blocks while it is loaded, once.
 * Fails by NULL and a sentence: the library is not there, or lacks a function. Calls go through the table, so
 * that a call by name does not link. Numbers for easy_setopt and multi_setopt have the type long, or the one
 * that libcurl's manual says: the compiler does not check them here. */
#pragma once

#include <curl/curl.h>
#include <stddef.h>

struct curl_table {
    CURLcode (*global_init)(long flags);
    CURL *(*easy_init)(void);
    void (*easy_cleanup)(CURL *easy);
    CURLcode (*easy_setopt)(CURL *easy, CURLoption option, ...);
    CURLcode (*easy_getinfo)(CURL *easy, CURLINFO info, ...);
    const char *(*easy_strerror)(CURLcode code);
    CURLM *(*multi_init)(void);
    CURLMcode (*multi_cleanup)(CURLM *multi);
    CURLMcode (*multi_setopt)(CURLM *multi, CURLMoption option, ...);
    CURLMcode (*multi_add_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_remove_handle)(CURLM *multi, CURL *easy);
    CURLMcode (*multi_socket_action)(CURLM *multi, curl_socket_t fd, int mask, int *running);
    CURLMsg *(*multi_info_read)(CURLM *multi, int *left);
    CURLU *(*url)(void);
    void (*url_cleanup)(CURLU *url);
    CURLUcode (*url_get)(const CURLU *url, CURLUPart part, char **text, unsigned int flags);
    CURLUcode (*url_set)(CURLU *url, CURLUPart part, const char *text, unsigned int flags);
    void (*free)(void *memory);
};

const struct curl_table *curl_load(char *why, size_t why_bytes);
