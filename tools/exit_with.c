/* For make: $(exit-with N) ends make itself with status N.
 *
 * GNU make ends with 2 whatever the status of the command that failed. `make run` is to
 * end with the status that the kernel gave, so the Makefile loads this after the run (GNU
 * make manual, "Loading Dynamic Objects").
 */
#include <stdlib.h>

/* As in gnumake.h, which not every system installs with make. */
extern void gmk_add_function(const char *name,
                             char *(*function)(const char *, unsigned int, char **),
                             unsigned int min_arguments, unsigned int max_arguments,
                             unsigned int flags);

int plugin_is_GPL_compatible;
int exit_with_gmk_setup(void);

static char *exit_with(const char *name, unsigned int count, char **arguments)
{
    (void)name;
    (void)count;
    exit(atoi(arguments[0]));
}

int exit_with_gmk_setup(void)
{
    gmk_add_function("exit-with", exit_with, 1, 1, 0);
    return 1;
}
