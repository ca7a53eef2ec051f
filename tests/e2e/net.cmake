# Takes at an address: net.sh, called as: net.sh FOLDER-OF-REPRISE SOURCES MAKE-TAKE; 77 where a tool is missing.
if(NOT TARGET reprise_net)
  return()
endif()
find_program(BASH bash)
add_executable(net_make_take net_make_take.c)
target_include_directories(net_make_take PRIVATE ${PROJECT_SOURCE_DIR}/tests)
target_link_libraries(net_make_take PRIVATE rp_flags rp_take PkgConfig::CHECK)
add_test(NAME e2e/net
  COMMAND ${BASH} ${CMAKE_CURRENT_SOURCE_DIR}/net.sh $<TARGET_FILE_DIR:reprise> ${PROJECT_SOURCE_DIR}
    $<TARGET_FILE:net_make_take>)
set_tests_properties(e2e/net PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
