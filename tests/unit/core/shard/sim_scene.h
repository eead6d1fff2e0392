/* sim_scene.h: the words in which scenes of the simulation are told.
 * Owner: one test; one world at a time. Thread: the test's.
 * Clients' sockets hold little, so that who does not read is noticed soon.
 * Blocks: nothing.
 * Fails: by failing the test, as sim.h says. RH_SIM_LOUD=1 prints everything as it happens. */
#ifndef TESTS_UNIT_CORE_SHARD_SIM_SCENE_H
#define TESTS_UNIT_CORE_SHARD_SIM_SCENE_H

#include "tests/unit/core/shard/sim.h"

#define TOPIC_A    0u /* of sim_topics; with two workers in log 0 */
#define TOPIC_B    1u /* in log 1 */
#define TOPIC_AB   3u
#define TOPIC_BB   6u
#define PATTERN_A  SIM_PATTERN(0)
#define PATTERN_B  SIM_PATTERN(1)
#define PATTERN_AB SIM_PATTERN(2)  /* "a.b" */
#define PATTERN_BB SIM_PATTERN(19) /* "b.b" */
#define DISCONNECT 0u              /* enum SlowPolicy */
#define SKIP       1u
#define BLOCK      2u

struct sim_world *scene_world(struct sim_setup setup);
/* Says all it has; the worker that it talks to does not come to sleep meanwhile. */
void scene_pours(struct sim_client *client);
void scene_says(struct sim_client *client);
void scene_reads(struct sim_client *client);
struct sim_client *scene_subscriber(struct sim_world *world, uint32_t patterns, uint8_t policy);
struct sim_client *scene_publisher(struct sim_world *world);
/* Publishes and is read; returns when all is in the logs. */
void scene_published(struct sim_client *client, uint32_t topic, uint32_t count, uint32_t data_bytes);
void scene_passes(struct sim_world *world, uint64_t ns); /* time, and everybody takes turns */
void scene_end(struct sim_world *world);                 /* all that is owed comes, and nothing is left */

#endif
