# host_new: `reprise new` with its templates inside.
set(new_templates CMakeLists.txt Makefile README.md dot-gitignore game.c)
list(TRANSFORM new_templates PREPEND ${PROJECT_SOURCE_DIR}/host/new/)
set(new_table ${CMAKE_CURRENT_BINARY_DIR}/new_files.c)
add_custom_command(OUTPUT ${new_table}
  COMMAND ${PROJECT_SOURCE_DIR}/tools/embed.sh new_files ${new_templates} > ${new_table}
  DEPENDS ${PROJECT_SOURCE_DIR}/tools/embed.sh ${new_templates}
  VERBATIM)
add_library(host_new STATIC ${PROJECT_SOURCE_DIR}/host/cmd_new.c ${new_table})
target_include_directories(host_new PUBLIC ${PROJECT_SOURCE_DIR}/host)
target_link_libraries(host_new PRIVATE rp_flags PUBLIC rp_base)
