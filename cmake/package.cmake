# The Debian package: cpack --config build/release/CPackConfig.cmake -B FOLDER. One package of the components `router` and
# `client` and of what only a system wants: manual pages, config, unit, documents.
# Included by CMakeLists.txt for the optimised build; packaging/ has the files.
find_program(PYTHON3 python3 PATHS /usr/bin NO_DEFAULT_PATH)
find_program(DPKG_QUERY dpkg-query)
if(NOT PYTHON3 OR NOT DPKG_QUERY OR NOT TARGET roundhouse OR NOT TARGET roundhouse_client)
    return()
endif()

set(pack_dir ${CMAKE_BINARY_DIR}/package)
set(pack_source ${CMAKE_SOURCE_DIR}/packaging)

# --- Made of what is said elsewhere ----------------------------------------------------------------------------------

add_custom_command(
    OUTPUT ${pack_dir}/roundhouse.1.gz ${pack_dir}/roundhouse.yaml.5.gz
    COMMAND ${PYTHON3} ${pack_source}/man.py $<TARGET_FILE:roundhouse> ${CMAKE_SOURCE_DIR}/docs/OPERATIONS.md ${pack_dir}
    COMMAND gzip -9nf ${pack_dir}/roundhouse.1 ${pack_dir}/roundhouse.yaml.5
    DEPENDS roundhouse ${pack_source}/man.py ${CMAKE_SOURCE_DIR}/docs/OPERATIONS.md
    COMMENT "manual pages" VERBATIM)
add_custom_command(
    OUTPUT ${pack_dir}/roundhouse.yaml
    COMMAND ${CMAKE_COMMAND} -DINPUT=${CMAKE_SOURCE_DIR}/examples/config/roundhouse.yaml
            -DOUTPUT=${pack_dir}/roundhouse.yaml -P ${pack_source}/config.cmake
    DEPENDS ${CMAKE_SOURCE_DIR}/examples/config/roundhouse.yaml ${pack_source}/config.cmake
    COMMENT "config of the package" VERBATIM)
configure_file(${pack_source}/changelog.in ${pack_dir}/changelog @ONLY)
add_custom_command(
    OUTPUT ${pack_dir}/changelog.gz
    COMMAND gzip -9nkf ${pack_dir}/changelog
    DEPENDS ${pack_source}/changelog.in
    COMMENT "changelog of the package" VERBATIM)
file(GLOB documents CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/docs/*.md ${CMAKE_SOURCE_DIR}/docs/decisions/*.md)
add_custom_command(
    OUTPUT ${pack_dir}/documents/README.md
    COMMAND ${CMAKE_COMMAND} -DSOURCE=${CMAKE_SOURCE_DIR} -DOUTPUT=${pack_dir}/documents -P ${pack_source}/documents.cmake
    DEPENDS ${CMAKE_SOURCE_DIR}/README.md ${documents} ${pack_source}/documents.cmake
    COMMENT "documents of the package" VERBATIM)
add_custom_target(package_files ALL
    DEPENDS ${pack_dir}/roundhouse.1.gz ${pack_dir}/roundhouse.yaml.5.gz ${pack_dir}/roundhouse.yaml ${pack_dir}/changelog.gz
            ${pack_dir}/documents/README.md)

# The unit of the examples, for a program in /usr.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/examples/systemd/roundhouse.service)
file(READ ${CMAKE_SOURCE_DIR}/examples/systemd/roundhouse.service unit)
string(REPLACE "/usr/local/bin/" "/usr/bin/" unit "${unit}")
string(REGEX REPLACE "^(#[^\n]*\n)+\n" "" unit "${unit}") # how it is installed by hand
file(CONFIGURE OUTPUT ${pack_dir}/roundhouse.service CONTENT "${unit}" @ONLY)

# --- What is installed where -----------------------------------------------------------------------------------------

# Only cpack asks for this component: its files lie outside of any prefix.
set(pack_install COMPONENT system EXCLUDE_FROM_ALL)
set(pack_doc share/doc/roundhouse)
install(FILES ${pack_dir}/roundhouse.1.gz DESTINATION share/man/man1 ${pack_install})
install(FILES ${pack_dir}/roundhouse.yaml.5.gz DESTINATION share/man/man5 ${pack_install})
install(FILES ${pack_dir}/roundhouse.yaml DESTINATION /etc/roundhouse ${pack_install})
install(FILES ${pack_dir}/roundhouse.service DESTINATION /lib/systemd/system ${pack_install})
install(FILES ${pack_source}/copyright ${pack_dir}/changelog.gz DESTINATION ${pack_doc} ${pack_install})
# With what they show and link to; the headers and .proto files lie where compilers look for them.
install(DIRECTORY ${pack_dir}/documents/ DESTINATION ${pack_doc} ${pack_install})
install(DIRECTORY docs/ DESTINATION ${pack_doc}/docs ${pack_install}
        FILES_MATCHING PATTERN *.svg PATTERN *.png PATTERN openapi.json PATTERN decisions EXCLUDE)
file(CREATE_LINK ../../../include ${pack_dir}/include SYMBOLIC)
install(FILES ${pack_dir}/include DESTINATION ${pack_doc} ${pack_install})
install(DIRECTORY examples/ DESTINATION ${pack_doc}/examples ${pack_install}
        PATTERN demo EXCLUDE PATTERN __pycache__ EXCLUDE)

# --- The package -----------------------------------------------------------------------------------------------------

# Which package has a library that is loaded at run time, where no linker says that it is needed.
function(package_of library out)
    execute_process(COMMAND ${DPKG_QUERY} -S "*/${library}" OUTPUT_VARIABLE found ERROR_QUIET)
    string(REGEX MATCH "^[a-z0-9.+-]+" found "${found}")
    set(${out} "${found}" PARENT_SCOPE)
endfunction()
package_of(libmicrohttpd.so.12 microhttpd)
package_of(libcurl.so.4 curl)

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME roundhouse)
set(CPACK_PACKAGE_VENDOR Roundhouse)
set(CPACK_PACKAGE_CONTACT "Roundhouse maintainers <maintainers@roundhouse.invalid>")
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_CMAKE_PROJECTS
    "${CMAKE_BINARY_DIR};roundhouse;router;/;${CMAKE_BINARY_DIR};roundhouse;client;/;${CMAKE_BINARY_DIR};roundhouse;system;/")
set(CPACK_DEB_COMPONENT_INSTALL OFF)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"event router for business documents and events
Routes CloudEvents from publishers to every subscriber whose pattern matches,
with fan-out from rings in memory, a journal on disk, queues, mailboxes, and
spokes that connect systems that speak EDIFACT, X12, IDoc, UBL, CSV or HTTP.
.
This package has the program with its service, and the client library for C
with its headers.")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS_POLICY ">=")
# procps has the kill of ExecReload.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "adduser, procps, ${microhttpd}")
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "${curl}, ca-certificates")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "pkg-config, libprotobuf-c-dev, libjansson-dev, libxxhash-dev, prometheus")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
    "${pack_source}/postinst;${pack_source}/prerm;${pack_source}/postrm;${pack_source}/triggers;${pack_source}/conffiles")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
include(CPack)
