// The claim-and-gate protocol of ring/log.c: one writer that laps, a follower that raises its gate, a diver
// that lowers it.
//
// expect: pass
// variant: -DSTEP=2 the writer claims room for two records at a time, and reads no gate between
// variant: -DSTAYS the diver does not always go IDLE, and lowers its gate from where it stands
// mutant: -DNO_FENCE_CLAIM the writer looks at the gates while the new oldest is still in its store buffer
// (C3, C4)
// mutant: -DNO_FENCE_LOWER the diver looks at oldest while its gate is still in its store buffer (L1, L2)
// mutant: -DEARLY_GATES the writer looks at the gates before it stores oldest, and not after
// mutant: -DNO_LOOK the diver does not look whether it was overtaken
// mutant: -DINDEX_ONLY what is lost is worked out from the index alone, though the bytes run out first
// mutant: -DDATA_ONLY what is lost is worked out from the bytes alone, though the index runs out first
// mutant: -DEARLY_RAISE the follower raises its gate before it reads
// mutant: -DSTAYS -DNO_LOOK_DOWN a diver that holds a gate lowers it without a look, as it may raise it
// mutant: -DPUBLISH_FIRST a record is published before it is written
//
// Memory is that of x86 (TSO): each thread has a first-in first-out store buffer, which a process of its own
// empties whenever it likes; a fence waits until it is empty. No thread loads a word that it stores itself,
// so loads need no forwarding. Index and data area have unequal sizes and records unequal lengths, so both
// run out, at different times. The steps are named as in ring/log.c.

#ifndef STEP
#define STEP 1
#endif
#define RECORDS 7 /* the writer writes positions 1 .. RECORDS */
#define DIVES 2
#define INDEX 4   /* entries */
#define DATA 5    /* units of bytes */
#define IDLE 255

/* Lengths 1 1 1 1 1 3 1: with four records of 1 the index runs out first, around the record of 3 the data
 * area does. */
#define LENGTH(p) ((p) == 6 -> 3 : 1)
#define OFFSET(p) ((p) <= 6 -> (p) - 1 : (p) + 1) /* of the first unit */

/* Addresses. */
#define OLDEST 0
#define PRODUCED 1
#define GATE(i) (2 + (i))
#define ENTRY(p) (4 + (p) % INDEX)
#define BYTES(o) (4 + INDEX + (o) % DATA)
byte memory[13];

#define WRITER 0
#define FOLLOWER 1
#define DIVER 2
chan buffer0 = [2] of { byte, byte };
chan buffer1 = [2] of { byte, byte };
chan buffer2 = [2] of { byte, byte };

proctype drain(chan buffer) {
    byte address, value;
end:
    do
    :: d_step { buffer?address, value -> memory[address] = value; address = 0; value = 0 }
    od
}

#define STORE(buffer, address, value) buffer!address, value
#define FENCE(buffer) empty(buffer)

/* What would be lost by claiming room for STEP records, by the index and by the bytes. */
inline plan() {
    d_step {
        upto = next + STEP - 1;
        if
        :: upto > RECORDS -> upto = RECORDS
        :: else
        fi;
        lost = oldest;
#ifndef DATA_ONLY
        if
        :: upto + 1 > INDEX + lost -> lost = upto + 1 - INDEX
        :: else
        fi;
#endif
#ifndef INDEX_ONLY
        do
        :: OFFSET(upto) + LENGTH(upto) > DATA + OFFSET(lost) -> lost++
        :: else -> break
        od
#endif
    }
}

/* Each gate is a load of its own: readers may move between the two. */
inline look(refused) {
    refused = false;
    if
    :: memory[GATE(0)] < lost -> refused = true
    :: else
    fi;
    if
    :: memory[GATE(1)] < lost -> refused = true
    :: else
    fi
}

inline write_record() {
#ifdef PUBLISH_FIRST
    STORE(buffer0, PRODUCED, next + 1);
#endif
    STORE(buffer0, ENTRY(next), next);
    unit = 0;
    do
    :: unit < LENGTH(next) -> STORE(buffer0, BYTES(OFFSET(next) + unit), next); unit++
    :: else -> break
    od;
    unit = 0;
#ifndef PUBLISH_FIRST
    STORE(buffer0, PRODUCED, next + 1);
#endif
    next++
}

proctype writer() {
    byte next = 1, oldest = 1, lost, upto, unit;
    bool refused;
    do
    :: next > RECORDS -> break
    :: else ->
        plan();
        look(refused); /* C1 */
        if
        :: refused -> skip
        :: else ->
            STORE(buffer0, OLDEST, lost); /* C3 */
            oldest = lost;
#ifndef NO_FENCE_CLAIM
            FENCE(buffer0);
#endif
#ifndef EARLY_GATES
            look(refused); /* C4 */
#endif
            if
            :: refused -> skip
            :: else -> /* C5 */
                do
                :: next <= upto -> write_record()
                :: else -> break
                od
            fi
        fi;
        lost = 0;
        upto = 0;
        refused = false
    od
}

/* Reads entry and bytes, one load at a time; all of them must be those of the position. */
inline read_record(p) {
    assert(memory[ENTRY(p)] == p);
    unit = 0;
    do
    :: unit < LENGTH(p) -> assert(memory[BYTES(OFFSET(p) + unit)] == p); unit++
    :: else -> break
    od;
    unit = 0
}

/* Holds a gate from the beginning, reads everything in order, or leaves at any time. */
proctype follower() {
    byte position = 1, unit;
    do
    :: position > RECORDS -> break
    :: memory[PRODUCED] > position ->
#ifdef EARLY_RAISE
        STORE(buffer1, GATE(0), position + 1);
        read_record(position);
#else
        read_record(position);
        STORE(buffer1, GATE(0), position + 1); /* a raise: release, no fence */
#endif
        position++
    :: break
    od;
    STORE(buffer1, GATE(0), IDLE)
}

/* log_reader_lower: from a gate at or below `position` it is a raise, which needs no look. */
inline lower() {
#ifdef NO_LOOK_DOWN
#define PROTECTED (gate != IDLE)
#else
#define PROTECTED (gate <= position)
#endif
    if
    :: PROTECTED ->
        STORE(buffer2, GATE(1), position);
        whole = true
    :: else ->
        STORE(buffer2, GATE(1), position); /* L1 */
#ifndef NO_FENCE_LOWER
        FENCE(buffer2);
#endif
#ifndef NO_LOOK
        whole = memory[OLDEST] <= position /* L2 */
#else
        whole = true
#endif
    fi;
    gate = position
}

/* Leaves IDLE for any published position, reads there and at the next, goes IDLE; some times. */
proctype diver() {
    byte position, produced, unit, dive, gate = IDLE;
    bool whole;
    do
    :: dive == DIVES -> break
    :: dive < DIVES ->
        dive++;
        produced = memory[PRODUCED];
        position = 1;
        do
        :: position + 1 < produced -> position++
        :: break
        od;
        if
        :: position < produced ->
            lower();
            if
            :: whole ->
                read_record(position);
                if
                :: position + 1 < produced ->
                    gate = position + 1;
                    STORE(buffer2, GATE(1), gate); /* a raise */
                    read_record(gate)
                :: true
                fi
            :: else
            fi;
            if
            :: true -> STORE(buffer2, GATE(1), IDLE); gate = IDLE
#ifdef STAYS
            :: whole && dive < DIVES
#endif
            fi
        :: else
        fi;
        position = 0;
        produced = 0;
        whole = false
    od
}

init {
    atomic {
        memory[OLDEST] = 1;
        memory[PRODUCED] = 1;
        memory[GATE(0)] = 1;
        memory[GATE(1)] = IDLE;
        run drain(buffer0);
        run drain(buffer1);
        run drain(buffer2);
        run writer();
        run follower();
        run diver()
    }
}
