/* config.h: the sharding config: a YAML file, checked against a table; every mistake has line and column.
 * Owner: the caller of config_load; the main thread. Workers get copies of what they need before they start.
 * Every key is optional; config_defaults gives what stands when none is written.
 * Blocks only to read the file.
 * Fails by a list of mistakes, all of them at once; the config is then not usable. */
#pragma once

#include "core/base/check.h"
#include "core/base/limits.h"
#include "core/io/io.h"
#include "core/shard/rules.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONFIG_ADDRESS_MAX 64u
#define CONFIG_KEYS_MAX    64u /* rows of the table, in schema.h */

/* Where the value of a key is from. */
enum config_from { CONFIG_FROM_DEFAULT, CONFIG_FROM_FILE, CONFIG_FROM_OPTION, CONFIG_FROM_APPLIED };
struct config_origin {
    enum config_from from;
    uint32_t line, column; /* of its key in the file that was read last; 0 = it is not there */
};

struct config_limits {
    uint64_t frame_bytes;   /* limits.frame, FRAME_BYTES_MIN..FRAME_BYTES_MAX */
    uint32_t connections;   /* limits.connections */
    uint32_t subscriptions; /* limits.subscriptions: patterns over all connections */
    uint32_t topics;        /* limits.topics: names remembered per log and per worker */
    uint64_t handshake_ns;  /* limits.handshake */
    uint64_t block_ns;      /* limits.block */
    uint64_t idle_ns;       /* limits.idle; 0 = never */
    uint64_t private_bytes; /* limits.private: unread replies per connection */
};

struct config {
    char listen_native[CONFIG_ADDRESS_MAX];       /* listen.native, "HOST:PORT", numeric */
    char listen_admin[CONFIG_ADDRESS_MAX];        /* listen.admin; "off" = none */
    char admin_token_file[JOURNAL_DIR_BYTES_MAX]; /* listen.admin_token_file; "off" = nobody is asked */
    char listen_ingest[CONFIG_ADDRESS_MAX];       /* listen.ingest */
    bool listen_public; /* a listener is not on loopback, and listen.public asked for it */
    enum io_choice io;  /* io */
    uint32_t shards;    /* shards.count; auto: CPUs of the affinity mask, bounded by the cgroup quota */
    bool cpus_given;    /* shards.cpus is in the file */
    uint16_t cpus[SHARDS_MAX]; /* shards.cpus: one per shard, pinned when given */
    uint8_t slots[SLOT_COUNT]; /* slot -> shard; default an even split */
    uint64_t slot_seed;        /* slot_seed: of the installation; default 0 */
    uint64_t log_data_bytes;   /* logs.data; auto = LOG_DATA_DEFAULT, never under LOG_FRAMES_MIN frames */
    uint64_t log_records;      /* logs.records; auto = data / LOG_RECORD_BYTES_TYPICAL, a power of two */
    uint64_t grace_ns;         /* logs.grace */
    struct config_limits limits;
    char journal_dir[JOURNAL_DIR_BYTES_MAX]; /* journal.dir; "off" = none */
    uint32_t journal_logs;                   /* journal.logs, of a new journal; auto = as many as shards */
    uint64_t journal_segment_bytes;          /* journal.segment */
    uint64_t journal_retain_bytes;           /* journal.retain_bytes; 0 = no limit */
    uint64_t journal_retain_ns;              /* journal.retain_age; 0 = no limit */
    uint32_t topics_count;
    struct topic_rule topics[TOPIC_RULES_MAX]; /* topics: the first that matches holds */
    char routes_dir[JOURNAL_DIR_BYTES_MAX];    /* routes; "off" = none */
    char spokes_dir[JOURNAL_DIR_BYTES_MAX];    /* spokes; "off" = none */
    char spokes_state[JOURNAL_DIR_BYTES_MAX];  /* spokes_state; auto = .state in that directory */
    uint32_t log_format;                       /* log.format: enum logfmt_format */
    uint32_t log_level;                        /* log.level: from LOGFMT_INFO on */
    /* What the file left to the router, so that an override can work it out again. */
    bool public_asked;   /* listen.public */
    bool shards_auto;    /* no shards.count */
    uint32_t cpus_count; /* of shards.cpus; 0 = not given */
    bool slots_given;    /* `slots` is in the file */
    bool log_data_auto;
    bool log_records_auto;
    bool journal_logs_auto;
    bool spokes_state_auto;
    struct config_origin origins[CONFIG_KEYS_MAX]; /* by row of the table */
};

/* Whether there is to be a journal. */
bool config_journalled(const struct config *config);
/* The first rule for topics that asks for class disk where there is no journal, or NULL. The command line may
 * still name one, so this is no mistake of the file. */
const struct topic_rule *config_disk_without_journal(const struct config *config);

/* One mistake: where, and one sentence that says what is wrong and what to write instead. */
struct config_mistake {
    uint32_t line;   /* from 1; 0 = not in the file (command line) */
    uint32_t column; /* from 1 */
    char text[240];
};
#define CONFIG_MISTAKES_MAX 100u
struct config_mistakes {
    uint32_t count; /* how many were found; only the first CONFIG_MISTAKES_MAX are kept */
    struct config_mistake list[CONFIG_MISTAKES_MAX];
};

void config_defaults(struct config *config);
/* Parses `text` over the defaults. true = usable. Unknown keys, duplicate keys, wrong types, out-of-range
 * values, an incomplete or overlapping slot map, listeners off loopback without `listen.public: true`: each
 * is a mistake. */
bool config_parse(struct config *config, const char *text, size_t length, struct config_mistakes *mistakes);
/* The same over what `config` has: keys that the text leaves out stay as they are. After false it is of no
 * use. */
bool config_parse_over(struct config *config, const char *text, size_t length,
                       struct config_mistakes *mistakes);
/* The paths of rules and spokes in a text that was just parsed are as seen from this file. False: a mistake
 * was added. */
bool config_paths(struct config *config, const char *path, struct config_mistakes *mistakes);
/* Reads the file and parses it; the paths of rules and spokes are as seen from the file. Negative errno when
 * it can not be read, 0 otherwise (then look at mistakes->count). At most CONFIG_FILE_BYTES_MAX. */
int config_load(struct config *config, const char *path, struct config_mistakes *mistakes) MUST_USE;
/* Of the command line: a key such as "listen.native", "io", "shards", and a value as in the file. */
struct config_override {
    const char *key;
    const char *value;
};
/* Overrides go through the same checks, and what must hold between keys is looked at when all of them have
 * been taken: of two with one key the last holds. Keys that are lists are refused. False: `mistake` is
 * filled, `wrong` is the place of the override that it is about, and the config is as it was. */
bool config_override(struct config *config, const struct config_override *list, uint32_t count,
                     struct config_mistake *mistake, uint32_t *wrong);

/* Whether two listeners ("HOST:PORT" or "off") can not both be had. */
bool config_addresses_clash(const char *one, const char *other);

/* Strict: B, KiB, MiB, GiB (a bare 0 is allowed) / us, ms, s, m, h (a bare 0 is allowed). Anything else is
 * false. */
bool config_size_parse(const char *text, size_t length, uint64_t *bytes);
bool config_time_parse(const char *text, size_t length, uint64_t *ns);

/* CHECKs what holds for every usable config. */
void config_check(const struct config *config);
