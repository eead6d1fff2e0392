/* fuzz: config_parse */
// check: runs=60000 max_len=2048 timeout=10

/* A configuration file, and then three overrides of the command line, one by one and together. */
#include "core/config/config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* In the order of the file, inside it, each with a sentence. */
static void mistakes_check(const struct config_mistakes *mistakes) {
    uint32_t kept = mistakes->count < CONFIG_MISTAKES_MAX ? mistakes->count : CONFIG_MISTAKES_MAX;
    for (uint32_t i = 0; i < kept; i++) {
        const struct config_mistake *at = &mistakes->list[i];
        size_t length = strnlen(at->text, sizeof at->text);
        CHECK(length > 0 && length < sizeof at->text);
        CHECK(at->line > 0 && at->column > 0);
        CHECK(i == 0 || at[-1].line < at->line || (at[-1].line == at->line && at[-1].column <= at->column));
        for (size_t j = 0; j < length; j++)
            CHECK((unsigned char)at->text[j] >= ' ');
    }
}

static void override_check(struct config *config, const struct config_override *list, uint32_t count) {
    struct config_mistake mistake = {.text = ""};
    struct config before = *config;
    uint32_t wrong = count;
    if (config_override(config, list, count, &mistake, &wrong))
        config_check(config);
    else
        CHECK(mistake.text[0] && wrong < count && memcmp(&before, config, sizeof before) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct config config;
    static struct config_mistakes mistakes;
    bool right = config_parse(&config, (const char *)data, size, &mistakes);
    CHECK(right == (mistakes.count == 0));
    mistakes_check(&mistakes);
    if (!right)
        return 0;
    config_check(&config);
    static const struct config_override some[] = {
        {"shards", "2"}, {"limits.frame", "2MiB"}, {"listen.native", "0.0.0.0:4470"}};
    for (uint32_t i = 0; i < sizeof some / sizeof *some; i++)
        override_check(&config, &some[i], 1);
    override_check(&config, some, sizeof some / sizeof *some);
    return 0;
}
