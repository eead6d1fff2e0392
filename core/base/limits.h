/* limits.h: every fixed bound of Roundhouse, with its unit, its reason and what it costs.
 * Owner: core/base. Nothing here is state; all threads may read it.
 * What an operator may change has its default here and its key in core/config.
 * Nothing blocks.
 * Relations between bounds are static asserts beside them, so a wrong pair does not build. */
#pragma once

#include <assert.h>
#include <stdint.h>

#define KIB       (UINT64_C(1) << 10)
#define MIB       (UINT64_C(1) << 20)
#define GIB       (UINT64_C(1) << 30)
#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

/* Topics and slots. */
#define SLOT_COUNT       4096u /* slots a topic can hash to; fixed for ever, it is in the sharding config */
#define TOPIC_BYTES_MAX  255u  /* one length byte in the index entry's flags */
#define TOPIC_TOKENS_MAX 16u   /* bounds the depth of the wildcard trie */
#define TOPICS_DEFAULT                                                                                       \
    (1u << 20) /* remembered topic names per log and per worker; about 100 bytes each at most */

/* Events. */
#define EVENT_ATTRIBUTES_MAX                                                                                 \
    64u /* optional and extension attributes of one event; bounds the search for a repeated name */

/* Rules for topics. */
#define DUPLICATES_DEFAULT 100000u /* events remembered for each log and rule; 40 to 48 bytes each */

#define INTERN_NAME_BYTES_TYPICAL                                                                            \
    64u /* names may take so much each on average; longer ones are forgotten earlier */

/* Shards. */
#define SHARDS_MAX 64u /* one gate and one soft floor per worker in every log; rings grow with its square */

/* Logs. Memory log number i is that of shard i, for ever, and LOG_NUMBER_ADDED + i if that came later; disk
 * log d has the number LOG_NUMBER_DISK + d. */
#define LOGS_MAX        64u /* memory and disk logs together: one bit each in a word */
#define DISK_LOGS_MAX   32u /* so with a journal there are at most as many shards */
#define LOG_NUMBER_DISK 64u
#define LOG_NUMBER_BEHIND                                                                                    \
    (LOG_NUMBER_DISK + DISK_LOGS_MAX) /* of no log: in the ids of topics that were read behind a ring */
#define LOG_NUMBER_ADDED 128u         /* and on: logs of shards that came while it ran, behind all others */
static_assert(SHARDS_MAX <= LOGS_MAX && LOGS_MAX <= 64, "every shard has a memory log; a bit for each log");
static_assert(SHARDS_MAX <= LOG_NUMBER_DISK && LOG_NUMBER_BEHIND < LOG_NUMBER_ADDED,
              "no two logs have one number");
#define CHANGE_EPOCH_MAX 60000u /* no more moves from there on: starts need epochs, too */
#define CUTS_MAX         65536u /* moves from one log to another in one run; 0.5 KiB each, kept for ever */
#define TOPIC_RULES_MAX  256u   /* items of `topics` in the configuration; a new topic is held against them */
#define TOPIC_RULES_KEPT                                                                                     \
    (1u << 14) /* topics whose rule a worker remembers, when there are several; 64 bytes each */

/* Frames. */
#define FRAME_BYTES_DEFAULT (1u * MIB)          /* the largest frame accepted from a client */
#define FRAME_BYTES_MIN     (64u * KIB + 1024u) /* CloudEvents: events of 64 KiB must be forwarded */
#define FRAME_BYTES_MAX     (64u * MIB)
#define CONNECT_BYTES_MAX   (4u * KIB) /* the first frame; a stranger may cost us no more than this */
#define FRAME_OVERHEAD_MAX  48u /* bytes a log frame adds around topic and event: prefixes, tags, sequence */

/* Log rings. */
#define LOG_DATA_DEFAULT         (64u * MIB) /* bytes retained per log; prefaulted, so it is resident */
#define LOG_DATA_MIN             (1u * MIB)
#define LOG_DATA_MAX             (64u * GIB)
#define LOG_RECORD_BYTES_TYPICAL 128u /* records: auto gives one index entry for each so many data bytes */
#define LOG_RECORDS_MIN          1024u
#define LOG_FRAMES_MIN           8u    /* a log's data is at least so many of the largest frame */
#define LOG_CLAIM_STEPS          64u   /* the writer reads the gates once per 1/64 of the ring */
#define LOG_BATCH_FRACTION       8u    /* a batch is published after at most an eighth of the ring */
#define LOG_AHEAD_FRACTION       16u   /* at most so much of the ring is received into ahead of the records */
#define LOG_LINE_BYTES           64u   /* of a cache */
#define LOG_WARM_BYTES           1024u /* how far ahead of the writer the ring's lines are asked for */
#define LOG_WARM_MOST            4096u /* ... and how many bytes of it for one record at most */
#define LOG_WARM_RECORDS         32u   /* the same for index entries */
#define LOG_READERS_MAX                                                                                      \
    (2u * SHARDS_MAX + 4u) /* two gates a worker (live, catch-up), journal, admin; 128 bytes each */
#define LOG_GRACE_SHARE                                                                                      \
    64u /* a hold for laggards begins with at least this share of the grace budget: no parking for a trickle \
         */
static_assert(LOG_CLAIM_STEPS > LOG_BATCH_FRACTION, "a batch spans whole claim steps");
static_assert(LOG_AHEAD_FRACTION >= LOG_FRAMES_MIN, "a claim for them is no larger than one for a record");

/* Rings between workers. */
#define SPSC_BYTES       (256u * KIB) /* per ordered pair of workers, made at first use */
#define SPSC_INLINE_MAX  (16u * KIB)  /* a larger frame travels as its buffer's address */
#define LENT_BYTES_MAX   (4u * MIB)  /* such buffers on their way to one worker; a single one may be larger */
#define VERDICT_BYTES    (16u * KIB) /* verdicts on their way back, 40 bytes each; more hold the link up */
#define DURABLE_MARKS    16u   /* how far links were read when so much was written; more are put together */
#define MAILBOX_COMMANDS 4096u /* mpsc commands waiting for one worker; 64 bytes each */

/* Connections. */
#define CONNECTIONS_DEFAULT    10000u
#define SUBSCRIPTIONS_DEFAULT  100000u /* patterns over all connections */
#define SUBSCRIBE_PATTERNS_MAX 1024u   /* patterns in one Subscribe frame */
#define CLIENT_NAME_BYTES_MAX  128u
#define CONTROL_LIST_MAX                                                                                     \
    (16u * SUBSCRIBE_PATTERNS_MAX) /* strings in one message of a control frame, at 40 bytes each; so far    \
                                      above the limit of patterns, as it ends the connection */
#define CONTROL_DEPTH_MAX                                                                                    \
    64u /* messages in one another in a control frame: filters are, and unpacking recurses */
#define CONTROL_UNKNOWN_MAX                                                                                  \
    64u /* unknown fields in one message of a control frame; unpacked they cost 64 bytes each */

/* Filters of one subscription. What one costs is paid for each event that matches its patterns. */
#define FILTER_DEPTH_MAX      16u  /* expressions in one another */
#define FILTER_PARTS_MAX      256u /* attributes that are compared, and all, any and not; 40 bytes each */
#define FILTER_ATTRIBUTES_MAX 32u  /* different attributes: one bit each while an event is looked at */
#define FILTER_NAME_BYTES_MAX 64u  /* of an attribute's name */
#define FILTER_BYTES_MAX      (16u * KIB) /* of all names and values together */
static_assert(2 * FILTER_DEPTH_MAX + 8 < CONTROL_DEPTH_MAX, "what is too deep for filters is told as such");

#define HANDSHAKE_NS_DEFAULT (10u * NS_PER_S)
#define PRIVATE_BYTES_MAX    (64u * KIB) /* replies a client has not read; above it we stop reading from it */
#define PRIVATE_STALL_NS     (30u * NS_PER_S) /* ... and after this long we close it */
#define RECEIVE_BULK_BYTES                                                                                   \
    (768u * KIB) /* one non-waiting receive of a bulk connection, one buffer per worker; see decision 14 */
#define RECEIVE_LIGHT_BYTES (8u * KIB) /* one provided buffer of a light connection */
#define RECEIVE_LIGHT_COUNT 256u       /* provided buffers per worker: 2 MiB, the cache working set */
#define LANDING_EVENTS_MIN  8u         /* records in a row before bytes are received straight into the log */
#define LANDING_BYTES_MIN                                                                                    \
    (64u * KIB) /* less room than this in the log is not worth it: small receives cost more */
#define SEND_BYTES_MAX                                                                                       \
    (RECEIVE_BULK_BYTES + 64u * KIB)   /* one gathered send per connection and turn: also the event that was \
                                          begun by the receive before, or it would be a packet of its own */
#define SEND_IOV_MAX        64u        /* pieces of one gathered send */
#define SEND_COPY_MAX       (1u * KIB) /* smaller slices are copied together; see docs/decisions */
#define SENDS_PER_FLUSH_MAX 256u       /* connections sent to by one flush; 1 KiB of pieces each */
#define LINGER_NS           (500u * NS_PER_MS) /* after a fatal Error: for the client to read it */
#define REFUSED_CONNECTIONS_MAX                                                                              \
    64u /* above limits.connections: told so by an Error; more are just closed                               \
         */
#define HOUSEKEEPING_NS     (100u * NS_PER_MS) /* how often timeouts of connections are looked at */
#define CATCHUP_RECORDS_MAX 4096u              /* records routed in one catch-up step */
#define HISTORY_STRETCHES   8u /* of disk logs, behind their rings, that a worker has at a time; see below */
#define HISTORY_RECORDS                                                                                      \
    8192u /* entries of one, a power of two: 256 KiB, and at most HISTORY_BYTES of frames or one record */
#define HISTORY_BYTES      (512u * KIB)
#define HISTORY_PICK_BYTES (4u * KIB) /* for who only needs single records of it */
#define HISTORY_SEARCHES   2u         /* the same for searches of where subscriptions begin */
#define HISTORY_QUEUES     4u         /* the same for queues */
#define HISTORY_READERS    4u     /* places in the journal that are read on from; 8 to 16 MiB each in use */
#define SEARCH_WORK_MAX    16384u /* entries looked at for subscriptions that begin in the past, per turn */
#define LAST_TOPICS_MAX    65536u /* topics of one last_per_topic; 8 bytes each until delivered, and names */
#define LAST_PICKS_MAX     (1u << 20) /* the same, undelivered, of all connections of a worker: 8 MiB */
#define STAGING_BYTES      (4u * MIB) /* copied slices of one turn and worker */
#define SLICE_POOL_BYTES   (8u * MIB) /* output items of one worker's connections */
#define PUBLISH_RUNS_MAX   1024u      /* unacknowledged runs per connection; 16 bytes each, grown on use */

/* Delivery. */
#define GRACE_NS_DEFAULT     (200u * NS_PER_MS) /* a writer waits so long for a laggard in all ... */
#define GRACE_REFILL_PERCENT 1u                 /* ... and earns it back at 1 % of the time */
#define ROUTE_CHANGES_KEPT                                                                                   \
    128u /* pattern changes a stale route can catch up with one by one; see docs/decisions */
#define ROUTE_SETS_BYTES_MAX                                                                                 \
    (256u * MIB) /* subscriber sets one worker keeps; above it routes are made anew for each record */
#define ROUTE_MEMO_SLOTS    256u /* combinations of patterns whose set is remembered; 88 bytes each */
#define ROUTE_MEMO_PATTERNS 8u   /* patterns in such a combination; more are merged for each new topic */
#define TRACES_MAX          4u   /* traces at once */
#define TRACE_EVENTS_MAX                                                                                     \
    100u /* events of one trace; 1 KiB each for each shard, and 88 bytes for its square */
#define TRACE_LAPSE_NS    (10u * NS_PER_S) /* a trace that nobody asks about ends by itself */
#define TRACE_FOLLOWS_MAX 1024u            /* sends that one worker follows for a trace; 24 bytes each */
#define TRACE_DELIVERIES_MAX                                                                                 \
    256u /* deliveries to members of queues that one worker follows for a trace; 0.5 KiB each */
#define UNMATCHED_TOPICS                                                                                     \
    32768u /* topics of which a worker knows whether others want them; a power of two, 16 bytes each */
#define UNMATCHED_QUESTIONS  64u   /* ... that it asks others about at once; 0.8 KiB each */
#define UNMATCHED_SAMPLES    16u   /* topics that matched nobody, kept to be shown; 0.7 KiB each */
#define UNMATCHED_QUEUES_MAX 1024u /* queues without members whose patterns are looked at for one topic */
static_assert((UNMATCHED_TOPICS & (UNMATCHED_TOPICS - 1)) == 0, "found by the low bits of a hash");
#define BLOCK_NS_DEFAULT                                                                                     \
    (30u * NS_PER_S)         /* a slow subscriber with policy block holds publishers back so long */
#define BLOCK_BEGIN_SHARE 2u /* it begins to when it is half a ring behind, */
#define BLOCK_END_SHARE   4u /* ... and ends it at a quarter: less would begin again at once */
#define HELD_PING_NS      (1u * NS_PER_S) /* a publisher that is held back gets a sign of life so often */
#define DRAIN_NS_MAX      (5u * NS_PER_S) /* a stop waits at most this long for subscribers */

/* Surveys: what only workers know, asked by others. */
#define SURVEYS_MAX         8u         /* questions of one asker at a time */
#define SURVEY_ROWS_MAX     10000u     /* things that one answer lists; up to 1.2 KiB each while it is made */
#define SURVEY_ITEMS_TURN   256u       /* things that a worker looks at in one turn: some 25 us */
#define SURVEY_ENTRIES      4096u      /* the same of index entries, which lie side by side */
#define SURVEY_WALK_MAX     (1u << 18) /* the newest entries of a log that topics are counted in */
#define SURVEY_TOPICS_MAX   32768u     /* topics of one log that are counted; 128 bytes each */
#define SURVEY_NAMES_BYTES  (2u * MIB) /* names of all these */
#define SURVEY_RATE_NS      (10u * NS_PER_S) /* rates of topics are of the last 10 s, if the log has them */
#define SURVEY_FILTER_BYTES 512u             /* filters of one subscription, as they are listed */
#define SURVEY_TEXT_BYTES   256u             /* patterns that are listed of one subscription */
static_assert(SURVEY_ENTRIES % SURVEY_ITEMS_TURN == 0, "a new topic costs as much as so many entries");

/* Who lags: is named in the log, and remembered. */
#define LAG_BEGIN_NS    (1u * NS_PER_S) /* an event that is not sent for so long makes its subscriber lag, */
#define LAG_END_NS      (250u * NS_PER_MS) /* ... until nothing is older than this */
#define LAG_CALM_NS     (1u * NS_PER_S)    /* ... for so long: who comes and goes does not fill the log */
#define LAG_RECORDS_MAX 1024u              /* laggards of one worker that are over; 900 bytes each */
#define LAG_KEPT_NS     (3600u * NS_PER_S) /* they are remembered so long */
static_assert(LAG_END_NS < LAG_BEGIN_NS && HOUSEKEEPING_NS < LAG_END_NS, "it ends below where it began");

/* Queues: durable subscriptions, groups and mailboxes. */
#define QUEUES_MAX            (1u << 20) /* queues of one shard; 0.8 KiB each while they are empty */
#define QUEUE_NAME_BYTES_MAX  64u
#define QUEUE_KEY_BYTES_MAX   64u    /* name of the attribute whose equal values keep their order */
#define QUEUE_MEMBERS_MAX     1024u  /* connections that share one queue; about 120 bytes each */
#define QUEUE_LOGS_MAX        64u    /* logs that one queue can have a cursor in: all there are */
#define QUEUE_OUTSTANDING_MAX 16384u /* events of one queue, given out or put aside; 128 bytes each */
#define QUEUE_PARKED_MAX      8192u  /* ... of these behind an event with their key, or in a pause */
#define QUEUE_REPLAYS_MAX     8192u  /* ... of all of them that are replayed: what is live has room beside */
#define QUEUE_WINDOW_MAX      8192u  /* events that one member may hold */
#define QUEUE_WINDOW_DEFAULT  256u
#define QUEUE_MEMBER_BYTES_MAX                                                                               \
    (4u * MIB) /* a member that holds so many bytes gets no more; one event always */
#define QUEUE_LEASE_NS_DEFAULT   (30u * NS_PER_S)
#define QUEUE_LEASE_NS_MIN       (10u * NS_PER_MS)
#define QUEUE_LEASE_NS_MAX       (24u * 3600u * NS_PER_S)
#define QUEUE_ATTEMPTS_DEFAULT   5u
#define QUEUE_ATTEMPTS_MAX       1000u
#define QUEUE_BACKOFF_NS_DEFAULT (1u * NS_PER_S)
#define QUEUE_BACKOFF_NS_MAX     (3600u * NS_PER_S) /* doubling ends here, and so do pauses asked for */
#define QUEUE_CAPACITY_DEFAULT   10000u /* events that a mailbox holds before senders are refused */
#define QUEUE_CAPACITY_MAX       (1u << 24)
#define QUEUE_REASON_BYTES_MAX   256u /* of a consumer's reason; a longer one is cut */
#define QUEUE_PATTERNS_BYTES_MAX                                                                             \
    (SUBSCRIBE_PATTERNS_MAX * (TOPIC_BYTES_MAX + 1u)) /* all patterns of one queue, a length before each */
#define QUEUE_FILTERS_BYTES_MAX                                                                              \
    (32u * KIB) /* packed: names and values, and at most 52 bytes around each part of them */
static_assert(FILTER_BYTES_MAX + 52u * FILTER_PARTS_MAX <= QUEUE_FILTERS_BYTES_MAX, "what is valid fits");
#define QUEUE_STATE_BYTES_MAX (896u * KIB)       /* the whole state of one queue, as it is kept */
#define QUEUE_SAVE_NS         (100u * NS_PER_MS) /* from a change to its record: what may be done twice */
#define QUEUE_SAVES_MAX       256u               /* states that a worker writes in one turn */
#define REPLAY_TELL_NS        (250u * NS_PER_MS) /* how often, at most, a replay says how far it is */
#define REPLAY_SLACK_NS       (10u * NS_PER_MS)  /* what a replay with a rate may catch up at once */
#define REPLAY_RATE_LEAST     0.001              /* events per second */
static_assert(QUEUE_REPLAYS_MAX < QUEUE_OUTSTANDING_MAX, "a replay leaves room for what is live");
static_assert(QUEUE_PARKED_MAX < QUEUE_OUTSTANDING_MAX && QUEUE_WINDOW_MAX < QUEUE_OUTSTANDING_MAX,
              "what is put aside leaves room for what is given out");
static_assert(QUEUE_STATE_BYTES_MAX < FRAME_BYTES_DEFAULT, "a queue's state is one record of its log");

/* Turn. */
#define TURN_COMPLETIONS_MAX 1024u /* completions handled before sends and timers get their turn */
#define SLEEP_BACKSTOP_NS                                                                                    \
    (100u * NS_PER_MS) /* a sleeping worker looks by itself after this; finding work counts */

/* Journal. */
#define JOURNAL_LOGS_MAX    32u        /* disk logs; each has a commit thread and a buffer */
#define JOURNAL_BLOCK_BYTES (4u * KIB) /* a group begins on one; the unit of O_DIRECT */
#define JOURNAL_GROUP_BYTES (4u * MIB) /* a group collects no more: the buffer of a commit thread */
#define JOURNAL_SEGMENT_DEFAULT                                                                              \
    (64u * MIB)                             /* a spare of it is filled with zeros beforehand, for each log   \
                                             */
#define JOURNAL_SEGMENT_MIN     (64u * KIB) /* raised to what the longest record needs */
#define JOURNAL_SEGMENT_MAX     (4u * GIB)  /* what is read for one group fits in 32 bits */
#define JOURNAL_SEAL_IDLE_NS    (100u * NS_PER_MS) /* without records for so long the last group is proven */
#define JOURNAL_MARK_NS         (50u * NS_PER_MS)  /* the mark is written at most so often */
#define JOURNAL_SPARE_RETRY_NS  (1u * NS_PER_S)    /* after a spare could not be made for want of room */
#define JOURNAL_ZERO_BYTES      (1u * MIB)         /* one write while a spare is made */
#define JOURNAL_WAYPOINT_BYTES  (1u * MIB) /* a reader walks at most so far to its place; 24 bytes each */
#define JOURNAL_CUT_SKIP        (1u << 20) /* positions left out behind what a cut knows to be lost */
#define JOURNAL_TROUBLE_BYTES   1536u      /* the message of a refusal, which names three commands */
#define JOURNAL_BOOT_EPOCH_MAX  65535u     /* 16 bits of a sequence; never used twice, so it is the end */
#define JOURNAL_BOOT_EPOCH_WARN 60000u     /* from here on each start says so */
static_assert(JOURNAL_GROUP_BYTES % JOURNAL_BLOCK_BYTES == 0, "groups are whole blocks");

/* What the configuration accepts around the defaults above. */
#define CONFIG_FILE_BYTES_MAX (1u * MIB) /* a map of 4096 single slots takes 150 KiB */
#define CONFIG_DEPTH_MAX      8u         /* lists and mappings inside each other; the deepest key needs 3 */
#define CONFIG_VALUES_MAX                                                                                    \
    (1u << 16) /* keys, values and lists in one file; 48 bytes each while it is read                         \
                */
#define LOG_RECORDS_MAX       (1u << 30) /* index entries of 32 bytes: 32 GiB */
#define CPU_NUMBER_MAX        1023u      /* of the C library's cpu_set_t */
#define CONNECTIONS_MAX       (1u << 20) /* the kernel's fs.nr_open, the most descriptors of one process */
#define SUBSCRIPTIONS_MAX     (1u << 26)
#define TOPICS_MIN            16u        /* the smallest table of core/route/intern.h */
#define TOPICS_MAX            (1u << 26) /* 6.4 GiB per log and worker at about 100 bytes each */
#define HANDSHAKE_NS_MIN      (10u * NS_PER_MS)
#define HANDSHAKE_NS_LONGEST  (3600u * NS_PER_S)
#define IDLE_NS_MIN           (10u * NS_PER_MS)
#define IDLE_NS_LONGEST       (24u * 3600u * NS_PER_S)
#define BLOCK_NS_MIN          (10u * NS_PER_MS)
#define BLOCK_NS_LONGEST      (3600u * NS_PER_S)
#define JOURNAL_DIR_BYTES_MAX 512u /* of a path in the configuration */
#define RETAIN_BYTES_LEAST    MIB
#define RETAIN_BYTES_MOST     (UINT64_C(1) << 60)
#define RETAIN_NS_LEAST       NS_PER_S
#define RETAIN_NS_LONGEST     (87600u * 3600u * NS_PER_S) /* ten years */
#define GRACE_NS_LONGEST      (60u * NS_PER_S)            /* publishers wait as long */
#define EXPIRY_NS_LEAST       NS_PER_MS
#define EXPIRY_NS_LONGEST     (366u * 24u * 3600u * NS_PER_S)
#define DUPLICATES_NS_LEAST   (10u * NS_PER_MS)
#define DUPLICATES_NS_LONGEST                                                                                \
    (7u * 24u * 3600u * NS_PER_S)      /* who sends an event again after more than a week looks first */
#define DUPLICATES_MAX      (1u << 24) /* 768 MiB for each log and rule */
#define PRIVATE_BYTES_LEAST (4u * KIB) /* one reply of any kind */
#define PRIVATE_BYTES_MOST  (16u * MIB)
static_assert(LOG_DATA_MAX / LOG_RECORD_BYTES_TYPICAL <= LOG_RECORDS_MAX,
              "records: auto stays within its range");

/* Admin plane. */
#define ADMIN_CONNECTIONS_MAX  64u               /* open at once; the next ones wait in the backlog */
#define ADMIN_HEADER_BYTES_MAX (8u * KIB)        /* request line and headers */
#define ADMIN_REQUEST_NS_MAX   (10u * NS_PER_S)  /* from accept to the last byte of the answer */
#define ADMIN_APPLY_NS_MAX     (120u * NS_PER_S) /* the same, when others have to do something first */
#define ADMIN_BODY_BYTES_MAX   (1u * MIB)        /* of one request, where bodies are taken */
/* Read up to here, so that what is too large is told as JSON; what announces more is turned away at once. */
#define ADMIN_BODY_BYTES_READ (ADMIN_BODY_BYTES_MAX + 64u * KIB)
/* Received and not taken: of one connection, as bodies are kept until they are whole, and of all. */
#define ADMIN_INPUT_BYTES_MAX     (ADMIN_BODY_BYTES_READ + 2u * ADMIN_HEADER_BYTES_MAX)
#define ADMIN_INPUT_BYTES_ALL_MAX (8u * MIB)
/* Streams of events. Each is a client of the router, and holds the first two at most, and one receive. */
#define ADMIN_STREAMS_MAX            32u
#define ADMIN_STREAM_BYTES_MAX       (256u * KIB) /* its reader has not taken: nothing more is read for it */
#define ADMIN_STREAM_EVENT_BYTES_MAX (256u * KIB) /* an event above is told without what is in it */
#define ADMIN_STREAM_EVENTS_PER_S    2000u        /* of one; more is told as a gap */
#define ADMIN_EVENTS_PER_S           10000u       /* of all, so that no worker has to share its CPU */
#define ADMIN_STREAM_STALL_NS        (20u * NS_PER_S) /* a reader that takes nothing is cut */
#define ADMIN_STREAM_BEAT_NS         (15u * NS_PER_S) /* a comment, when nothing else comes */
static_assert(ADMIN_STREAMS_MAX < ADMIN_CONNECTIONS_MAX, "streams leave room for health checks");

/* jq programs of bridges, each in a process of its own. */
#define JQ_MEMORY_DEFAULT    (256u * MIB)      /* of one process, beyond what it has when it begins */
#define JQ_TIME_DEFAULT      NS_PER_S          /* CPU time for one input */
#define JQ_CLOCK_FACTOR      10u               /* by the clock it may take so much more, and a second */
#define JQ_START_NS          (10u * NS_PER_S)  /* until a process has compiled its program */
#define JQ_PAUSE_NS_MIN      (10u * NS_PER_MS) /* before one that can not begin is tried again, doubling */
#define JQ_PAUSE_NS_MAX      (10u * NS_PER_S)
#define JQ_WAITING_DEFAULT   1024u
#define JQ_TEXT_BYTES_MAX    (64u * MIB)  /* an input, all outputs of one, a program, its variables */
#define JQ_WAITING_BYTES_MAX (128u * MIB) /* inputs that wait for one program; a single one always may */
#define JQ_OUTPUTS_MAX       (1u << 20)   /* of one input; 16 bytes each while they are handed over */
#define JQ_ERROR_BYTES_MAX   1024u        /* of the text of an error, which may hold the value at fault */
static_assert(JQ_TEXT_BYTES_MAX >= FRAME_BYTES_MAX, "any event's data can be an input");

/* Webhooks. Times in milliseconds, as a spoke's file has them. */
#define WEBHOOK_CONCURRENCY_DEFAULT    32u   /* requests at a time; about 20 KiB each, and a connection */
#define WEBHOOK_CONCURRENCY_MAX        1024u /* descriptors of one spoke */
#define WEBHOOK_CONNECT_MS_DEFAULT     5000u
#define WEBHOOK_ANSWER_MS_DEFAULT      30000u
#define WEBHOOK_ANSWER_BYTES_DEFAULT   (64u * KIB) /* nothing is kept of an answer but its beginning */
#define WEBHOOK_ANSWER_HEAD_BYTES_MAX  (64u * KIB) /* its headers; beyond it is no answer */
#define WEBHOOK_ANSWER_CUT_BYTES       160u        /* of an answer's text in a reason */
#define WEBHOOK_REASON_BYTES           QUEUE_REASON_BYTES_MAX
#define WEBHOOK_RETRY_MS_DEFAULT       1000u
#define WEBHOOK_RETRY_MS_MAX_DEFAULT   300000u
#define WEBHOOK_RETRY_AFTER_MS_DEFAULT 3600000u
#define WEBHOOK_BREAKER_DEFAULT        10u
#define WEBHOOK_BREAKER_MS_DEFAULT     1000u
#define WEBHOOK_BREAKER_MS_MAX_DEFAULT 60000u
#define WEBHOOK_EXTEND_MS_DEFAULT      10000u
#define WEBHOOK_WAIT_MS_MAX            86400000u /* of any time in the options: a day */
#define WEBHOOK_REDIRECTS_MAX          10u
#define WEBHOOK_HEADERS_MAX            64u /* fixed ones */
#define WEBHOOK_URL_BYTES_MAX          (8u * KIB)
#define WEBHOOK_ORIGIN_BYTES_MAX       253u /* of a DNS name */
#define WEBHOOK_SECRET_BYTES_MAX       (4u * KIB)
#define WEBHOOK_SECRET_LOOK_NS         (1u * NS_PER_S)   /* its file is looked at at most so often */
#define WEBHOOK_KEPT_BYTES             (64u * KIB)       /* of a buffer that waits for its next event */
#define WEBHOOK_RATE_SLACK_NS          (10u * NS_PER_MS) /* a rate is met over so long */
static_assert(2 * WEBHOOK_EXTEND_MS_DEFAULT * NS_PER_MS <= QUEUE_LEASE_NS_DEFAULT,
              "a lease is extended before it ends");
/* HTTP in. */
#define INGEST_CONNECTIONS_DEFAULT 256u         /* open at once; the next ones wait in the backlog */
#define INGEST_HEADER_BYTES_MAX    (32u * KIB)  /* request line and headers; of each connection */
#define INGEST_HEADERS_MAX         256u         /* an event has 68 attributes at most */
#define INGEST_BODY_BYTES_DEFAULT  (16u * MIB)  /* of one request */
#define INGEST_TOTAL_BYTES_DEFAULT (64u * MIB)  /* bodies of all requests together */
#define INGEST_BATCH_MAX           10000u       /* events of one request */
#define INGEST_DOCUMENTS_MAX       64u          /* that wait for one spoke */
#define INGEST_FEED_BYTES          (64u * KIB)  /* of a document, at once */
#define INGEST_TURN_BYTES          (512u * KIB) /* of a document, before others have their turn */
#define INGEST_IDLE_NS_DEFAULT     (60u * NS_PER_S)
#define INGEST_REQUEST_NS_DEFAULT  (30u * NS_PER_S)
#define INGEST_ANSWER_NS_DEFAULT   (30u * NS_PER_S)
#define INGEST_TICK_NS             (100u * NS_PER_MS) /* how often deadlines are looked at */
