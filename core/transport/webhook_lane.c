#include "core/transport/webhook_private.h"

#include "core/base/heap.h"
#include "rh_build.h"

#include <string.h>

static size_t on_header(char *line, size_t size, size_t count, void *user) {
    struct lane *lane = user;
    (void)size;
    return answer_header(&lane->answer, line, count) ? count : 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *user) {
    struct lane *lane = user;
    (void)size;
    return answer_body(&lane->answer, bytes, count, lane->hook->options.answer_bytes_max) ? count : 0;
}

static bool set_tls(const struct curl_table *curl, CURL *easy, const struct webhook_options *options) {
    bool well = curl->easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK;
    if (options->ca_file)
        well &= curl->easy_setopt(easy, CURLOPT_CAINFO, options->ca_file) == CURLE_OK;
    if (options->certificate_file)
        well &= curl->easy_setopt(easy, CURLOPT_SSLCERT, options->certificate_file) == CURLE_OK;
    const char *key = options->key_file ? options->key_file : options->certificate_file;
    if (key)
        well &= curl->easy_setopt(easy, CURLOPT_SSLKEY, key) == CURLE_OK;
    return well;
}

/* What is the same for each request. */
static bool prepare(struct lane *lane) {
    const struct webhook *hook = lane->hook;
    const struct webhook_options *options = &hook->options;
    const struct curl_table *curl = hook->curl;
    CURL *easy = lane->easy;
    multi_prepare(hook->multi, easy);
    curl->easy_setopt(easy, CURLOPT_PRIVATE, lane);
    curl->easy_setopt(easy, CURLOPT_ERRORBUFFER, lane->error);
    curl->easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl->easy_setopt(easy, CURLOPT_HEADERDATA, lane);
    curl->easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl->easy_setopt(easy, CURLOPT_WRITEDATA, lane);
    curl->easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L); /* a proxy's 200 is no answer */
    curl->easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl->easy_setopt(easy, CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE);
    curl->easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)options->connect_ms);
    curl->easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->answer_ms);
    curl->easy_setopt(easy, CURLOPT_FOLLOWLOCATION, options->redirects ? 1L : 0L);
    curl->easy_setopt(easy, CURLOPT_MAXREDIRS, (long)options->redirects);
    curl->easy_setopt(easy, CURLOPT_POSTREDIR, (long)CURL_REDIR_POST_ALL);
    bool well = set_tls(curl, easy, options);
    well &= curl->easy_setopt(easy, CURLOPT_URL, options->url) == CURLE_OK;
    well &= curl->easy_setopt(easy, CURLOPT_PROXY, options->proxy ? options->proxy : "") == CURLE_OK;
    well &= curl->easy_setopt(easy, CURLOPT_USERAGENT, "roundhouse/" RH_VERSION) == CURLE_OK;
    well &= curl->easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    well &= curl->easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https") == CURLE_OK;
    return well;
}

static struct lane *lane_new(struct webhook *hook) {
    struct lane *lane = heap_take(sizeof *lane);
    if (!lane)
        return NULL;
    lane->hook = hook;
    list_init(&lane->place);
    lane->easy = hook->curl->easy_init();
    if (lane->easy && prepare(lane))
        return lane;
    lane_free(lane);
    return NULL;
}

struct lane *lane_take(struct webhook *hook) {
    struct list *place = list_take(&hook->lanes);
    if (place)
        return LIST_OF(place, struct lane, place);
    if (hook->lanes_made == hook->options.concurrency)
        return NULL;
    struct lane *lane = lane_new(hook);
    hook->lanes_made += lane != NULL;
    return lane;
}

/* The question has no body and another method; the lane's next request has both again. */
static void set_request(struct lane *lane) {
    const struct curl_table *curl = lane->hook->curl;
    const struct request *request = &lane->request;
    const char *put = lane->hook->options.put ? "PUT" : NULL;
    curl->easy_setopt(lane->easy, CURLOPT_HTTPHEADER, request->headers);
    if (lane->parcel) {
        curl->easy_setopt(lane->easy, CURLOPT_POSTFIELDS, request->body);
        curl->easy_setopt(lane->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_length);
        curl->easy_setopt(lane->easy, CURLOPT_CUSTOMREQUEST, put);
    } else {
        curl->easy_setopt(lane->easy, CURLOPT_HTTPGET, 1L);
        curl->easy_setopt(lane->easy, CURLOPT_CUSTOMREQUEST, "OPTIONS");
    }
}

bool lane_send(struct lane *lane) {
    struct webhook *hook = lane->hook;
    lane->answer.status = 0;
    lane->answer.whole = false;
    lane->answer.head_bytes = lane->answer.body_bytes = lane->answer.cut_length = 0;
    lane->answer.allowed_origin[0] = lane->answer.allowed_rate[0] = '\0';
    lane->answer.asking = !lane->parcel;
    lane->error[0] = '\0';
    set_request(lane);
    if (multi_add(hook->multi, lane->easy) != CURLM_OK)
        return false;
    list_add(&hook->busy, &lane->place);
    hook->on_way++;
    hook->requests++;
    return true;
}

void lane_give(struct lane *lane) {
    struct webhook *hook = lane->hook;
    if (list_in(&lane->place)) {
        multi_remove(hook->multi, lane->easy);
        hook->on_way--;
        list_remove(&lane->place);
    }
    lane->parcel = NULL;
    lane->probe = false;
    list_add(&hook->lanes, &lane->place);
}

void lane_free(struct lane *lane) {
    if (lane->easy)
        lane->hook->curl->easy_cleanup(lane->easy);
    request_free(&lane->request);
    heap_give(lane);
}
