// The next move of a disk log wakes a worker that asks for it (moves_want in core/shard/worker.c, and
// shards_log_moved): WANTED and the wake protocol of ring/wake.c together, one mover who tells nobody that has not
// asked. A lost wake is a worker that waits for ever: an invalid end state.
//
// expect: pass
// variant: -DMOVES=3 three moves
// mutant: -DNO_FENCE_SET the worker looks while its want is still in its store buffer
// mutant: -DNO_FENCE_TAKE the mover loads the want while its move is still in its store buffer
// mutant: -DNO_FENCE_ANNOUNCE the worker looks while its announcement is in its store buffer
// mutant: -DNO_FENCE_SIGNAL_NO_EXCHANGE the want is taken without an exchange, and wake_signal has no fence
// mutant: -DNO_LOOK the worker sleeps without looking again
// mutant: -DWANT_FIRST the worker asks before it announces its sleep: a move that it knows takes the word
// mutant: -DWANT_LAST the worker looks, and asks then
// mutant: -DWANT_ONCE the worker asks before its first sleep only
//
// Memory is that of x86 (TSO), as in wake.pml. The worker loads the want, which it stores too, only when its own
// stores of it have left its buffer, or they are as good as done.

#ifndef MOVES
#define MOVES 2
#endif
#define AWAKE 0
#define SLEEPING 1

#define STATE 0
#define WANTED 1
#define VISIBLE 2
byte memory[3];
byte bell;

chan buffer0 = [3] of { byte, byte }; /* the worker's */
chan buffer1 = [2] of { byte, byte };

proctype drain(chan buffer) {
    byte address, value;
end:
    do
    :: d_step { buffer?address, value -> memory[address] = value; address = 0; value = 0 }
    od
}

#define STORE(buffer, address, value) buffer!address, value
#define FENCE(buffer) empty(buffer)

inline want() {
#ifdef WANT_ONCE
    waits = asked;
#else
    waits = memory[WANTED] == 1;
#endif
    if
    :: waits -> skip
    :: else ->
        STORE(buffer0, WANTED, 1);
        asked = true;
#ifndef NO_FENCE_SET
        FENCE(buffer0)
#endif
    fi
}

proctype worker() {
    byte cursor, visible;
    bool waits, asked;
    do
    :: visible = memory[VISIBLE]; /* a turn */
        cursor = visible;
        if
        :: cursor == MOVES -> break
        :: else
        fi;
#ifdef WANT_FIRST
        want();
#endif
        STORE(buffer0, STATE, SLEEPING);
#ifndef NO_FENCE_ANNOUNCE
        FENCE(buffer0);
#endif
#ifndef WANT_FIRST
#ifndef WANT_LAST
        want();
#endif
#endif
#ifndef NO_LOOK
        visible = memory[VISIBLE];
#endif
#ifdef WANT_LAST
        want();
#endif
        if
        :: visible == cursor -> d_step { bell > 0 -> bell = 0 }
        :: else
        fi;
        STORE(buffer0, STATE, AWAKE);
        visible = 0;
        waits = false
    od
}

inline exchange(buffer, address, value) {
    d_step { empty(buffer) -> was = memory[address]; memory[address] = value }
}

proctype mover() {
    byte moved = 0, was;
    do
    :: moved == MOVES -> break
    :: else ->
        moved++;
        STORE(buffer1, VISIBLE, moved);
#ifndef NO_FENCE_TAKE
        FENCE(buffer1);
#endif
        was = memory[WANTED];
        if
        :: was == 1 ->
#ifdef NO_FENCE_SIGNAL_NO_EXCHANGE
            STORE(buffer1, WANTED, 0);
#else
            exchange(buffer1, WANTED, 0);
            FENCE(buffer1);
#endif
            was = memory[STATE];
            if
            :: was == SLEEPING ->
                exchange(buffer1, STATE, AWAKE);
                if
                :: was == SLEEPING -> bell++
                :: else
                fi
            :: else
            fi
        :: else
        fi;
        was = 0
    od
}

init {
    atomic {
        run drain(buffer0);
        run drain(buffer1);
        run worker();
        run mover()
    }
}
