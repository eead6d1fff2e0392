/* receive.h: what the server says: receives, finds the frames, and does what each of them asks for.
 * Owner: one rh_client; its thread.
 * Events are read in place and handed to the program; control frames are unpacked.
 * Nothing blocks; one call receives a bounded amount, so that a flood does not keep the program from its
 * other work. A frame that can not be right ends the connection, not the client. */
#pragma once

#include "core/client/link.h"

/* Receives and handles what is there. The phase may be another one afterwards. */
void receive_turn(struct rh_client *client);
