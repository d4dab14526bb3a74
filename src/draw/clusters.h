/*
 * clusters.h
 *	  The frames of a picture: levels and tasks.
 */
#ifndef MTL_RANK_CLUSTERS_H
#define MTL_RANK_CLUSTERS_H

#include "postgres.h"

#include "draw/picture.h"

#define NO_CLUSTER (-1)

#define MORE_TASKS_TOGETHER (-1)

typedef struct Cluster
{
	int			level;			/* -1: the frame of a task */
	int			task;			/* of a level: 0 */
} Cluster;

typedef struct Clusters
{
	const Picture *picture;
	int			nclusters;
	int			capacity;
	Cluster    *clusters;
	int		   *of_node;		/* of each node that is shown, or NO_CLUSTER */
} Clusters;

/* Allocated in the current context. */
extern Clusters *ClustersCreate(const Picture *picture);

#endif							/* MTL_RANK_CLUSTERS_H */
