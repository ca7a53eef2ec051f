# The first hour of somebody who uses it, with real keys, windows and terminals: play_*.sh.
# They are called as: SCRIPT FOLDER-OF-REPRISE SOURCES PICTURE-PROGRAM; 77 where a tool is missing.
find_program(BASH bash)
add_executable(picture picture.c)
target_link_libraries(picture PRIVATE rp_flags)
add_dependencies(picture reprise)
file(GLOB scripts CONFIGURE_DEPENDS play_*.sh)
foreach(script IN LISTS scripts)
  get_filename_component(name ${script} NAME_WE)
  add_test(NAME e2e/${name}
    COMMAND ${BASH} ${script} $<TARGET_FILE_DIR:reprise> ${PROJECT_SOURCE_DIR} $<TARGET_FILE:picture>)
  # SDL's libraries keep what they allocate once.
  set_tests_properties(e2e/${name} PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77
    ENVIRONMENT "ASAN_OPTIONS=detect_leaks=0")
endforeach()
