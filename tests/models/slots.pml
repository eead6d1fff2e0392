// A slot that moves from log to log while its events come (core/shard/change.c, moving.c, cuts.c): one publisher whose
// worker is home of none of the logs, their homes, the change, and a worker with a live reader and one that lags. All
// of the slot's events come once and in their order; the laggard may lose some (what is overwritten), but never sees
// an earlier one behind a later one. Whoever waits for ever is an invalid end state.
//
// expect: pass
// variant: -DEVENTS=4 four events
// mutant: -DNO_HOLD the publisher's worker goes on giving events
// mutant: -DNO_WAIT it says that it holds while events are still on their way
// mutant: -DTAKEN_FIRST a home says that it has taken an event before it has published it
// mutant: -DGO_FIRST the new log is given events before the cut is written
// mutant: -DCUTS_FIRST a reader looks for cuts before it looks at what is visible
// mutant: -DNO_WALK a live reader walks the new log without the rest of the old one
// mutant: -DNO_BOUND the laggard does not wait where a slot has come in
// mutant: -DCHAIN_OF_EVENTS it forgets what a log has to wait for in which nothing came meanwhile
// mutant: -DNO_CHAIN it looks at the last log alone, not at what that one has to wait for
//
// x86 keeps the order of the stores of a thread, and that of its loads, and nothing here stores and then loads
// what others store before they load: so memory is a plain one, and the order of the steps is all.

#ifndef EVENTS
#define EVENTS 3
#endif
#define LOGS 3
#define LENGTH 6
#define NONE 255

typedef log {
    byte produced;
    byte event[LENGTH] /* 0 = of another slot */
};
log logs[LOGS];
chan link0 = [2] of { byte };
chan link1 = [2] of { byte };
chan link2 = [2] of { byte };
byte given[LOGS], taken[LOGS];

mtype = { HOLD, GO };
chan orders = [1] of { mtype, byte };
bool held;

byte cuts;
byte close[2], open[2]; /* cut i is from log i to log i + 1 */

active proctype change() {
    byte i = 0;
    do
    :: i == 2 -> break
    :: else ->
        orders!HOLD, 0;
        d_step { held -> held = false };
#ifdef GO_FIRST
        orders!GO, i + 1;
#endif
        close[i] = logs[i].produced;
        open[i] = logs[i + 1].produced;
        cuts = i + 1;
#ifndef GO_FIRST
        orders!GO, i + 1;
#endif
        i++
    od
}

inline give(place) {
    if
    :: place == 0 -> link0!next
    :: place == 1 -> link1!next
    :: else -> link2!next
    fi;
    given[place] = given[place] + 1;
    next++
}

#define ARRIVED (given[0] == taken[0] && given[1] == taken[1] && given[2] == taken[2])

active proctype publisher() {
    byte next = 1, place = 0, now, gone = 0;
    bool holding = false, told = false;
    do
#ifdef NO_HOLD
    :: next <= EVENTS -> give(place)
#else
    :: next <= EVENTS && !holding -> give(place)
#endif
    :: orders?HOLD, now -> holding = true; told = false
#ifdef NO_WAIT
    :: holding && !told -> told = true; held = true
#else
    :: holding && !told && ARRIVED -> told = true; held = true
#endif
    :: orders?GO, now -> place = now; holding = false; gone++
    :: next > EVENTS && gone == 2 -> break
    od
}

inline append(l, e) {
    d_step {
        logs[l].event[logs[l].produced] = e;
        logs[l].produced = logs[l].produced + 1
    }
}

inline take(l, e) {
#ifdef TAKEN_FIRST
    taken[l] = taken[l] + 1;
    append(l, e);
#else
    append(l, e);
    taken[l] = taken[l] + 1;
#endif
    e = 0
}

/* Log 1 has an event of another slot as well, at any time. */
active proctype homes() {
    byte e;
    bool other = false;
end:
    do
    :: link0?e -> take(0, e)
    :: link1?e -> take(1, e)
    :: link2?e -> take(2, e)
    :: !other -> other = true; append(1, 0)
    od
}

byte cursor[LOGS], seen;    /* of the reading worker */
byte at[LOGS], last, bound[LOGS]; /* of its laggard */
byte expected = 1;
bool lost;

/* The live cursor goes on to `to`. */
inline walk(l, to) {
    d_step {
        do
        :: cursor[l] < to ->
            if
            :: logs[l].event[cursor[l]] != 0 ->
                assert(logs[l].event[cursor[l]] == expected);
                expected++
            :: else
            fi;
            cursor[l] = cursor[l] + 1
        :: else -> break
        od
    }
}

inline meet(k) {
    do
    :: seen < k ->
#ifndef NO_WALK
        walk(seen, close[seen]);
#endif
        seen++
    :: else -> break
    od
}

#ifdef NO_BOUND
#define BEHIND(i) false
#else
#ifdef NO_CHAIN
#define BEHIND(i) (at[i] < close[i])
#else
#ifdef CHAIN_OF_EVENTS
#define BEHIND(i) (at[i] < close[i] || bound[i] < close[i])
#else
#define BEHIND(i) (at[i] < close[i] || bound[i] != NONE)
#endif
#endif
#endif

inline bounds() {
    d_step {
        bound[0] = NONE;
        bound[1] = NONE;
        bound[2] = NONE;
        i = 0;
        do
        :: i == seen -> break
        :: else ->
            if
            :: BEHIND(i) -> bound[i + 1] = open[i]
            :: else
            fi;
            i++
        od;
        i = 0
    }
}

/* One record of a log for the laggard, if it may. */
inline lag(l) {
    d_step {
        if
        :: at[l] < cursor[l] && at[l] < bound[l] ->
            if
            :: logs[l].event[at[l]] != 0 ->
                assert(logs[l].event[at[l]] > last);
                assert(lost || logs[l].event[at[l]] == last + 1);
                last = logs[l].event[at[l]]
            :: else
            fi;
            at[l] = at[l] + 1
        :: else
        fi
    }
}

#define CAN_LAG(l) (at[l] < cursor[l] && at[l] < bound[l])
#define ALL_READ (expected > EVENTS && seen == 2 && at[0] == cursor[0] && at[1] == cursor[1] && at[2] == cursor[2])

inline look(l) {
#ifdef CUTS_FIRST
    k = cuts;
    visible = logs[l].produced;
#else
    visible = logs[l].produced;
    k = cuts;
#endif
    meet(k);
    walk(l, visible);
    bounds();
    visible = 0;
    k = 0
}

active proctype reader() {
    byte visible, k, i;
    d_step { bound[0] = NONE; bound[1] = NONE; bound[2] = NONE }
    do
    :: logs[0].produced > cursor[0] -> look(0)
    :: logs[1].produced > cursor[1] -> look(1)
    :: logs[2].produced > cursor[2] -> look(2)
    :: cuts > seen -> look(0)
    :: CAN_LAG(0) -> lag(0); bounds()
    :: CAN_LAG(1) -> lag(1); bounds()
    :: CAN_LAG(2) -> lag(2); bounds()
    :: !lost && at[1] < cursor[1] -> lost = true; at[1] = cursor[1]; bounds() /* overwritten */
    :: ALL_READ -> break
    od
}
