/*
 * asan_init.c
 *	  Starts the address sanitizer's runtime before all other libraries, when preloaded into a server.
 *
 * The runtime starts itself at the first malloc, and while doing so looks up a symbol that is not there, which makes libc
 * translate an error message. Of the server's libraries, libgpg-error happens to be first to call malloc, from within
 * bindtextdomain, which holds the lock that the translation then waits for, for ever. So this is linked with -z initfirst
 * and calls malloc before that.
 */
#include <stdlib.h>

static void __attribute__((constructor))
start_sanitizer(void)
{
	void	   *volatile p = malloc(1);

	free(p);
}
