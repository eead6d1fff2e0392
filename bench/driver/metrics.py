"""Every metric that the suite knows: what it is called, its unit, and which direction is better."""


def _metric(title, unit, better):
    return {"title": title, "unit": unit, "better": better}


METRICS = {
    "deliveries_per_s": _metric("deliveries per second", "1/s", "higher"),
    "server_cpu_ns_per_delivery": _metric("server CPU time per delivery", "ns", "lower"),
    "acked_per_s": _metric("events acknowledged per second", "1/s", "higher"),
    "stored_bytes_per_s": _metric("bytes of events acknowledged per second; of the disk alone, bytes written", "bytes", "higher"),
    "replayed_bytes_per_s": _metric("bytes of events delivered from the journal per second; of the disk alone, bytes read", "bytes", "higher"),
    "journal_bytes_per_s": _metric("bytes of the journal read per second, with its headers; of the disk alone, bytes read", "bytes", "higher"),
    "server_cpu_ns_per_event": _metric("server CPU time per event", "ns", "lower"),
    "events_per_sync": _metric("events in one group of the journal", "count", "none"),
    "server_cpu_share": _metric("server CPU, in CPUs", "share", "none"),
    "generator_cpu_share": _metric("load generator CPU, in CPUs", "share", "none"),
    "core_busy_share": _metric("busy share of the server's first CPU, all processes", "share", "none"),
    "bytes_per_send": _metric("bytes per send", "bytes", "higher"),
    "memory_bytes": _metric("resident memory, each page once", "bytes", "lower"),
    "rss_bytes": _metric("resident memory as the kernel counts it, each mapping of a page", "bytes", "none"),
    "rss_peak_bytes": _metric("highest resident memory as the kernel counts it", "bytes", "none"),
    "memory_beyond_rings_bytes": _metric("resident memory beyond the configured logs", "bytes", "lower"),
    "memory_per_connection_bytes": _metric("resident memory per idle subscribed connection", "bytes", "lower"),
    "p50_ns": _metric("median latency", "ns", "lower"),
    "p90_ns": _metric("latency, 90 %", "ns", "lower"),
    "p99_ns": _metric("latency, 99 %", "ns", "lower"),
    "p999_ns": _metric("latency, 99.9 %", "ns", "lower"),
    "max_ns": _metric("highest latency", "ns", "lower"),
    "send_lag_p50_ns": _metric("lateness of the load generator, median", "ns", "none"),
    "send_lag_p99_ns": _metric("lateness of the load generator, 99 %", "ns", "none"),
    "generator_idle_share": _metric("share of the stretch in which the load generator had nothing to do", "share", "none"),
    "offered_per_s": _metric("events offered per second", "1/s", "none"),
    "recovered_ns": _metric("time until all subscribers are back after the pause", "ns", "lower"),
    "not_recovered": _metric("subscribers in catch-up, cut off or with a gap at the end", "count", "lower"),
    "age_before_ns": _metric("how late the latest subscriber was before the pause, on average", "ns", "none"),
    "churn_per_s": _metric("subscribes per second, and as many unsubscribes", "1/s", "none"),
    "laggards": _metric("subscribers in catch-up at the end", "count", "lower"),
    "gaps": _metric("Gap frames", "count", "lower"),
    "slow_disconnects": _metric("subscribers cut off", "count", "lower"),
    "catch_up_entered": _metric("times a subscriber fell back to catch-up", "count", "none"),
    "document_bytes_per_s": _metric("bytes of the document per second", "bytes", "higher"),
    "messages_per_s": _metric("messages per second", "1/s", "higher"),
    "cpu_ns_per_message": _metric("CPU time per message", "ns", "lower"),
    "ns_per_op": _metric("time per operation", "ns", "lower"),
}
