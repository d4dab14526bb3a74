/*
 * part_name.c
 *	  What the name of an operation says about its place in the network.
 */
#include "postgres.h"

#include "draw/part_name.h"

#define MAX_WORDS 16

typedef struct Words
{
	int			n;
	char	   *words[MAX_WORDS];
	int			ends[MAX_WORDS];	/* bytes of the name up to the word's end */
} Words;

static Words
Split(const char *name)
{
	Words		words = {0};
	char	   *copy = pstrdup(name);
	char	   *begin = copy;

	for (char *c = copy;; c++)
	{
		bool		end = *c == '\0';

		if (!end && *c != '.')
			continue;
		*c = '\0';
		if (words.n < MAX_WORDS)
		{
			words.words[words.n] = begin;
			words.ends[words.n++] = c - copy;
		}
		begin = c + 1;
		if (end)
			return words;
	}
}

static bool
IsNumber(const char *word)
{
	return *word != '\0' && strspn(word, "0123456789") == strlen(word);
}

/*
 * Takes the last word away if it is one that makes an MLP's layers, or a tensor, of
 * the part.
 */
static void
DropLast(Words *words, int first, PartName *name, OpKind kind)
{
	const char *last;

	if (words->n - first < 2)
		return;
	last = words->words[words->n - 1];
	if (kind == OP_LAYER && (IsNumber(last) || strcmp(last, "logit") == 0))
		words->n--;
	else if (kind == OP_COMBINE && strcmp(last, "weight") == 0)
	{
		name->stored = true;
		words->n--;
	}
}

PartName
PartNameParse(const GraphOp *op)
{
	PartName	name = {.level = -1, .index = -1};
	Words		words = Split(op->name);
	int			first = 0;

	name.prefix = words.ends[words.n - 1];
	if (words.n == 1)
	{
		name.task = words.words[0];
		return name;
	}
	if (strcmp(words.words[0], "level") == 0 && IsNumber(words.words[1]))
	{
		name.level = atoi(words.words[1]);
		first = 2;
	}
	if (first + 1 < words.n && strcmp(words.words[first], "task") == 0)
	{
		name.task = words.words[first + 1];
		first += 2;
	}
	else if (first < words.n && strcmp(words.words[first], "shared") == 0)
	{
		name.shared = true;
		first++;
	}

	DropLast(&words, first, &name, op->kind);
	name.prefix = words.ends[words.n - 1];
	if (words.n - first >= 2 && IsNumber(words.words[words.n - 1]))
		name.index = atoi(words.words[--words.n]);
	if (words.n > first)
		name.part = words.words[words.n - 1];
	return name;
}
