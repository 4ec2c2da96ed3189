# The version, read from version.h, and what it promises to hosts (version.h says it in words).
#   pymixed_version        0.1.0
#   pymixed_compatibility  the rule by which find_package(pymixed <version>) takes it
#   pymixed_soversion      shared libraries of the same one replace each other

file(STRINGS "${CMAKE_CURRENT_LIST_DIR}/../include/pymixed/version.h" pymixed_version REGEX "^#define PYMIXED_VERSION \"")
string(REGEX REPLACE "^.*\"(.*)\"$" "\\1" pymixed_version "${pymixed_version}")
if(pymixed_version VERSION_LESS 1)
  set(pymixed_compatibility SameMinorVersion)
  string(REGEX MATCH "^[0-9]+\\.[0-9]+" pymixed_soversion "${pymixed_version}")
else()
  set(pymixed_compatibility SameMajorVersion)
  string(REGEX MATCH "^[0-9]+" pymixed_soversion "${pymixed_version}")
endif()
