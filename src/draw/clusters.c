/*
 * clusters.c
 *	  The frames of a picture: levels and tasks.
 *
 * Frames are not nested: Graphviz keeps the order of nodes in a row, but not of frames
 * within a frame.
 */
#include "postgres.h"

#include "draw/clusters.h"

static int
FindCluster(Clusters *clusters, Cluster wanted)
{
	for (int i = 0; i < clusters->nclusters; i++)
	{
		const Cluster *cluster = &clusters->clusters[i];

		if (cluster->level == wanted.level && cluster->task == wanted.task)
			return i;
	}
	if (clusters->nclusters == clusters->capacity)
	{
		clusters->capacity *= 2;
		clusters->clusters = repalloc(clusters->clusters, sizeof(Cluster) * clusters->capacity);
	}
	clusters->clusters[clusters->nclusters] = wanted;
	return clusters->nclusters++;
}

static int
ChooseCluster(Clusters *clusters, const PictureNode *node)
{
	Cluster		cluster = {.level = -1};

	if (node->in_level)
		cluster.level = node->level;
	else if (node->before_levels)
		return NO_CLUSTER;
	else if (node->more == MORE_TASKS)
		cluster.task = MORE_TASKS_TOGETHER;
	else if (node->task < 0 ||
			 clusters->picture->contract->tasks[node->task].type == TASK_PRODUCT)
		return NO_CLUSTER;
	else
		cluster.task = node->task;
	return FindCluster(clusters, cluster);
}

Clusters *
ClustersCreate(const Picture *picture)
{
	Clusters   *clusters = palloc0(sizeof(Clusters));

	clusters->picture = picture;
	clusters->capacity = 16;
	clusters->clusters = palloc(sizeof(Cluster) * clusters->capacity);
	clusters->of_node = palloc(sizeof(int) * picture->nnodes);
	for (int i = 0; i < picture->nnodes; i++)
		clusters->of_node[i] = NodeIsShown(picture, i) ?
			ChooseCluster(clusters, &picture->nodes[i]) : NO_CLUSTER;
	return clusters;
}
