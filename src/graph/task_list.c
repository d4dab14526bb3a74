/*
 * task_list.c
 *	  Lists of tasks that a task reads from, in the keys of an architecture.
 */
#include "postgres.h"

#include "graph/architecture.h"
#include "model/model_error.h"

NameIndex *
IndexTasks(const GraphBuilder *builder)
{
	char	  **names = palloc(sizeof(char *) * builder->ntasks);

	for (int t = 0; t < builder->ntasks; t++)
		names[t] = builder->tasks[t]->name;
	return NameIndexCreate(names, builder->ntasks);
}

static int
FindTask(const GraphBuilder *builder, const NameIndex *names, const char *name,
		 int reader, bool earlier, const char *path)
{
	int			task = NameIndexFind(names, name);

	if (task < 0)
		ModelError("Name a task that is not a product.",
				   "\"%s\" names \"%s\", which is no task with a tower", path, name);
	if (earlier && task > reader)
		ModelError("Declare the task earlier, or leave it out.",
				   "\"%s\" names task \"%s\", which is not declared before \"%s\"",
				   path, name, builder->tasks[reader]->name);
	return task;
}

int *
ReadTaskList(const GraphBuilder *builder, const NameIndex *names, const JsonArray *list,
			 int reader, bool earlier, int *ntasks)
{
	int		   *tasks = palloc(sizeof(int) * builder->ntasks);
	bool	   *seen;

	*ntasks = 0;
	if (list == NULL)
		return tasks;
	if (list->length >= builder->ntasks)
		ModelError("Name each other task at most once.",
				   "\"%s\" has %d tasks, the model has %d others",
				   list->path, list->length, builder->ntasks - 1);

	seen = palloc0(sizeof(bool) * builder->ntasks);
	seen[reader] = true;
	for (int i = 0; i < list->length; i++)
	{
		char	   *name = JsonValueString(&list->elements[i], list->path);
		int			task = FindTask(builder, names, name, reader, earlier, list->path);

		if (seen[task])
			ModelError("Name each other task at most once.",
					   "\"%s\" names task \"%s\" twice, or the task itself", list->path, name);
		seen[task] = true;
		tasks[(*ntasks)++] = task;
	}
	pfree(seen);
	return tasks;
}
