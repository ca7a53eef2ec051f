# host_templates: what `reprise new` writes, as the table new_files of host/embed.h.
set(new_templates CMakeLists.txt Makefile README.md dot-gitignore game.c)
list(TRANSFORM new_templates PREPEND ${PROJECT_SOURCE_DIR}/host/new/)
set(new_table ${PROJECT_BINARY_DIR}/host/new_files.c)
add_custom_command(OUTPUT ${new_table}
  COMMAND ${PROJECT_SOURCE_DIR}/tools/embed.sh new_files ${new_templates} > ${new_table}
  DEPENDS ${PROJECT_SOURCE_DIR}/tools/embed.sh ${new_templates}
  VERBATIM)

# What `reprise gdb` runs inside gdb, as the table gdb_files.
set(gdb_script ${PROJECT_SOURCE_DIR}/host/gdb/reprise-gdb.py)
set(gdb_table ${PROJECT_BINARY_DIR}/host/gdb_files.c)
add_custom_command(OUTPUT ${gdb_table}
  COMMAND ${PROJECT_SOURCE_DIR}/tools/embed.sh gdb_files ${gdb_script} > ${gdb_table}
  DEPENDS ${PROJECT_SOURCE_DIR}/tools/embed.sh ${gdb_script}
  VERBATIM)
add_library(host_templates STATIC ${new_table} ${gdb_table})
target_include_directories(host_templates PRIVATE ${PROJECT_SOURCE_DIR}/host)
target_link_libraries(host_templates PRIVATE rp_flags)
