# `reprise doctor` on programs that are compiled here: doctor_*.sh, called as: SCRIPT FOLDER-OF-REPRISE SOURCES
# FOLDER-OF-MODULES; 77 where a tool is missing.
if(RP_SANITIZE MATCHES "address|thread")
  return() # the command itself would not bear the limits that the scripts set
endif()
find_program(BASH bash)
file(GLOB scripts CONFIGURE_DEPENDS doctor_*.sh)
list(FILTER scripts EXCLUDE REGEX "doctor_lib\\.sh$")
foreach(script IN LISTS scripts)
  get_filename_component(name ${script} NAME_WE)
  add_test(NAME e2e/${name}
    COMMAND ${BASH} ${script} $<TARGET_FILE_DIR:reprise> ${PROJECT_SOURCE_DIR} $<TARGET_FILE_DIR:harness>)
  set_tests_properties(e2e/${name} PROPERTIES TIMEOUT 300 SKIP_RETURN_CODE 77)
endforeach()
