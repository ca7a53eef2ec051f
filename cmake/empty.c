/* CMake wants a source for a library that only gathers archives. */
extern int reprise_library_is_made_of_archives;
