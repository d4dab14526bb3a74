/*
 * large_pages.h
 *	  Large pages for what a score reads at random places.
 *
 * With pages of 4 kB a process that begins to use a model of 100 MB pays for 1,500 page
 * faults, and every look into an embedding table may miss the TLB; with pages of 2 MB it
 * pays for 50.  Linux from 6.1 on makes such pages for shared memory when it is asked,
 * whatever its settings say, but uses them only where address and offset in the segment
 * are equal in their last 21 bits; PostgreSQL maps segments anywhere.  All this is a
 * matter of speed: where it cannot be had, these functions do nothing.
 */
#ifndef MTL_RANK_LARGE_PAGES_H
#define MTL_RANK_LARGE_PAGES_H

#include "postgres.h"

/*
 * Maps shared memory, the beginning of a segment, a second time, where large pages can be
 * used; NULL if there is nothing to win, or if it cannot be done.
 */
extern char *LargePagesMap(char *address, Size size);

/* Takes away what LargePagesMap() made. */
extern void LargePagesUnmap(char *address, Size size);

/*
 * Puts large pages under what it made; to be called before the memory is written, which
 * is then faster too.  Can be interrupted.
 */
extern void LargePagesCollapse(char *address, Size size);

#endif							/* MTL_RANK_LARGE_PAGES_H */
