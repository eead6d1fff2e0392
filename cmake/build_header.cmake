# Writes rh_build.h (what was built, from which commit, how). Run as a script at every build by the target rh_build_header;
# the file is replaced only when its text changes, so a build without a new commit compiles nothing again.
execute_process(
    COMMAND git -C "${SOURCE_DIR}" describe --always --dirty --abbrev=12 --exclude=*
    OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET RESULT_VARIABLE status)
if(NOT status EQUAL 0 OR commit STREQUAL "")
    set(commit "unknown")
endif()
string(REPLACE "\\" "\\\\" FLAGS "${FLAGS}")
string(REPLACE "\"" "\\\"" FLAGS "${FLAGS}")
set(text "/* Written by cmake/build_header.cmake at build time. */
#ifndef RH_BUILD_H
#define RH_BUILD_H
#define RH_VERSION \"${VERSION}\"
#define RH_COMMIT \"${commit}\"
#define RH_COMPILER \"${COMPILER}\"
#define RH_FLAGS \"${FLAGS}\"
#endif
")
set(old "")
if(EXISTS "${OUTPUT}")
    file(READ "${OUTPUT}" old)
endif()
if(NOT old STREQUAL text)
    file(WRITE "${OUTPUT}" "${text}")
endif()
