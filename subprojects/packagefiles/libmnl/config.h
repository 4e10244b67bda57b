/* In place of what configure would write. */
#define HAVE_VISIBILITY_HIDDEN 1
