"""Who is measured, and in which rows."""

from driver.servers import Subject

ROUTERS = ["roundhouse", "roundhouse-epoll"]
TWO_SHARDS = ["roundhouse-2", "roundhouse-2-epoll"]
PEERS = ["nats", "redis", "mosquitto"]

STORES = ["jetstream", "redis-streams"]
PARSERS = ["business-edifact"]
CONVERTER = "convert"
DISK = "disk"
DISK_READ = "disk-read"

STOPPED = "roundhouse, one stopped"
CHURNED = "roundhouse, churn"
ROUTED = "roundhouse, ack routed"
FILTERED = "roundhouse, filter"
FILTERS = "roundhouse, filters"

WATCHED = "roundhouse, watched"
MOVED = "roundhouse-2, moved"

SUBJECTS = {s.name: s for s in [
    Subject("roundhouse", "roundhouse", "Roundhouse", io="auto", shards=1),
    Subject("roundhouse-epoll", "roundhouse", "Roundhouse, epoll", io="epoll", shards=1),
    Subject("roundhouse-2", "roundhouse", "Roundhouse, 2 shards", io="auto", shards=2),
    Subject("roundhouse-2-epoll", "roundhouse", "Roundhouse, epoll, 2 shards", io="epoll", shards=2),
    Subject("roundhouse-4", "roundhouse", "Roundhouse, 4 shards", io="auto", shards=4),
    Subject("roundhouse-8", "roundhouse", "Roundhouse, 8 shards", io="auto", shards=8),
    Subject("relay", "relay", "relay limit"),
    Subject("nats", "nats", "nats-server"),
    Subject("redis", "redis", "redis-server"),
    Subject("mosquitto", "mosquitto", "mosquitto"),
    Subject(STOPPED, "roundhouse", "Roundhouse, a tenth subscriber stopped", io="auto", shards=1,
            extra={"stopped": 1}),
    Subject(CHURNED, "roundhouse", "Roundhouse, 1,000 subscribes and unsubscribes per second", io="auto",
            shards=1, extra={"churn": 1000}),
    Subject(ROUTED, "roundhouse", "Roundhouse, ack routed", io="auto", shards=1, extra={"ack": "routed"}),
    Subject(FILTERED, "roundhouse", "Roundhouse, half the subscribers with one filter", io="auto", shards=1, extra={"filtered": 5}),
    Subject(FILTERS, "roundhouse", "Roundhouse, half the subscribers with filters that differ", io="auto", shards=1,
            extra={"filtered": 5, "filters-differ": True}),
    Subject(WATCHED, "roundhouse", "Roundhouse, watched over its admin plane", io="auto", shards=1, beside="watch"),
    Subject(MOVED, "roundhouse", "Roundhouse, 2 shards, slots moving", io="auto", shards=2, beside="move"),
    Subject(DISK, "disk", "the disk alone"),
    Subject(DISK_READ, "disk", "the disk alone, read"),
    Subject("jetstream", "nats", "JetStream", extra={"ack": "own"}, protocol="jetstream"),
    Subject(CONVERTER, "converter", "roundhouse convert"),
    Subject("business-edifact", "perl", "Business::Edifact::Interchange (Perl)"),
    Subject("redis-streams", "redis", "Redis streams", extra={"ack": "own"}, protocol="streams"),
]}
