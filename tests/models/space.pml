// Waiting for space: the writer of ring/log.c is refused by gates, wants, and sleeps; two readers move their
// gates and tell it. WANTED and the wake protocol of ring/wake.c together. A lost wake is a writer that waits
// for ever: an invalid end state.
//
// expect: pass
// mutant: -DNO_FENCE_SET the writer looks at the gates again while its want is still in its store buffer
// mutant: -DNO_FENCE_TAKE a reader loads the want while its gate is still in its store buffer
// mutant: -DNO_FENCE_ANNOUNCE the writer asks whether it still waits while its announcement is in its store
// buffer
// mutant: -DNO_LOOK the writer does not look at the gates again after it has wanted
// mutant: -DNO_WAITS the writer sleeps without asking whether its want has been taken (log_writer_waits)
//
// A fence is missing in this list: that of wake_signal. Here the exchange by which a reader takes the want is
// one already; the fence is needed by all other callers, and wake.pml rejects its absence.
// Memory is that of x86 (TSO), as in wake.pml. The writer loads `wanted`, which it stores too, only after a
// fence of its own.

#define STEPS 2 /* claims that wait for both gates */
#define AWAKE 0
#define SLEEPING 1

#define STATE 0
#define WANTED 1
#define GATE(i) (2 + (i))
byte memory[4];
byte bell;

chan buffer0 = [2] of { byte, byte }; /* the writer's */
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

inline look() {
    allowed = memory[GATE(0)] >= step;
    allowed = allowed && memory[GATE(1)] >= step
}

inline sleep() {
    STORE(buffer0, STATE, SLEEPING);
#ifndef NO_FENCE_ANNOUNCE
    FENCE(buffer0);
#endif
#ifdef NO_WAITS
    waits = true;
#else
    waits = memory[WANTED] == 1;
#endif
    if
    :: waits -> d_step { bell > 0 -> bell = 0 }
    :: else
    fi;
    STORE(buffer0, STATE, AWAKE)
}

proctype writer() {
    byte step = 1;
    bool allowed, waits;
    do
    :: step > STEPS -> break
    :: else ->
        look();
        if
        :: allowed -> step++
        :: else ->
            STORE(buffer0, WANTED, 1);
#ifndef NO_FENCE_SET
            FENCE(buffer0);
#endif
#ifndef NO_LOOK
            look();
#endif
            if
            :: allowed -> STORE(buffer0, WANTED, 0); step++
            :: else -> sleep()
            fi
        fi;
        allowed = false;
        waits = false
    od
}

inline exchange(buffer, address, value) {
    d_step { empty(buffer) -> was = memory[address]; memory[address] = value }
}

proctype reader(byte me; chan buffer) {
    byte gate = 0, was;
    do
    :: gate == STEPS -> break
    :: else ->
        gate++;
        STORE(buffer, GATE(me), gate);
#ifndef NO_FENCE_TAKE
        FENCE(buffer);
#endif
        was = memory[WANTED];
        if
        :: was == 1 -> exchange(buffer, WANTED, 0)
        :: else
        fi;
        if
        :: was == 1 -> /* wake_signal; its fence is in the exchange */
            was = memory[STATE];
            if
            :: was == SLEEPING ->
                exchange(buffer, STATE, AWAKE);
                if
                :: was == SLEEPING -> bell++
                :: else
                fi
            :: else
            fi
        :: else
        fi
    od
}

init {
    atomic {
        run drain(buffer0);
        run drain(buffer1);
        run drain(buffer2);
        run writer();
        run reader(0, buffer1);
        run reader(1, buffer2)
    }
}
