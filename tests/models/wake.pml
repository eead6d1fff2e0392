// The wake protocol of ring/wake.c: one sleeper, two wakers. A lost wake is a sleeper that waits for ever: an
// invalid end state.
//
// expect: pass
// variant: -DNEWS=2 each waker publishes twice
// mutant: -DNO_FENCE_ANNOUNCE the sleeper looks while its announcement is still in its store buffer (A1, A3)
// mutant: -DNO_FENCE_SIGNAL a waker loads the sleep word while its news is still in its store buffer (B1, B3)
// mutant: -DNO_LOOK the sleeper sleeps without looking again
// mutant: -DLOOK_FIRST the sleeper looks, and announces then
// mutant: -DNO_BELL_COUNT a bell that nobody waits for is forgotten, as a condition variable would
//
// Memory is that of x86 (TSO): each thread has a first-in first-out store buffer, which a process of its own
// empties whenever it likes; a fence waits until it is empty, and an exchange contains one. The bell is an
// eventfd: a count in the kernel. The steps are named as in ring/wake.c.

#ifndef NEWS
#define NEWS 1
#endif
#define AWAKE 0
#define SLEEPING 1

#define STATE 0
#define PUBLISHED(i) (1 + (i))
byte memory[3];
byte bell;
bool sleeps;

chan buffer0 = [2] of { byte, byte }; /* the sleeper's */
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
    got0 = memory[PUBLISHED(0)];
    got1 = memory[PUBLISHED(1)]
}

proctype sleeper() {
    byte got0, got1, had;
    do
    :: look();
        if
        :: got0 == NEWS && got1 == NEWS -> break
        :: else -> had = got0 + got1
        fi;
#ifdef LOOK_FIRST
        look();
#endif
        STORE(buffer0, STATE, SLEEPING); /* A1 */
#ifndef NO_FENCE_ANNOUNCE
        FENCE(buffer0); /* A2 */
#endif
#ifndef NO_LOOK
#ifndef LOOK_FIRST
        look(); /* A3 */
#endif
#endif
        if
        :: got0 + got1 == had -> /* A4: nothing new */
            sleeps = true;
            bell > 0 -> /* poll and drain */
            d_step { bell = 0; sleeps = false }
        :: else
        fi;
        STORE(buffer0, STATE, AWAKE)
    od
}

inline exchange_awake(buffer) {
    d_step { empty(buffer) -> was = memory[STATE]; memory[STATE] = AWAKE }
}

proctype waker(byte me; chan buffer) {
    byte news = 0, was;
    do
    :: news == NEWS -> break
    :: else ->
        news++;
        STORE(buffer, PUBLISHED(me), news); /* B1 */
#ifndef NO_FENCE_SIGNAL
        FENCE(buffer); /* B2 */
#endif
        was = memory[STATE]; /* B3 */
        if
        :: was == SLEEPING -> /* B4 */
            exchange_awake(buffer);
            if
            :: was == SLEEPING ->
#ifdef NO_BELL_COUNT
                d_step {
                    if
                    :: sleeps -> bell++
                    :: else
                    fi
                }
#else
                bell++
#endif
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
        run sleeper();
        run waker(0, buffer1);
        run waker(1, buffer2)
    }
}
