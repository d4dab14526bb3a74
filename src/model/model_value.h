/*
 * model_value.h
 *	  A value of type mtl_model: a fixed header, and the file unchanged.
 *
 * The header is made by this module alone, from the file; so its digest can be
 * trusted to name the file's bytes.
 */
#ifndef MTL_RANK_MODEL_VALUE_H
#define MTL_RANK_MODEL_VALUE_H

#include "postgres.h"

#include "fmgr.h"

#include "model/digest.h"

typedef struct MtlModel
{
	int32		vl_len_;		/* varlena header, do not touch directly */
	uint32		magic;
	uint16		version;		/* of this layout */
	uint16		flags;			/* none yet: 0 */
	uint32		reserved1;		/* 0 */
	uint64		file_size;
	uint8		digest[MTL_DIGEST_SIZE];	/* SHA-256 of the file */
	uint64		reserved2;		/* 0 */
	char		file[FLEXIBLE_ARRAY_MEMBER];
} MtlModel;

#define MTL_MODEL_HEADER_SIZE 64	/* of the value, varlena header included */

#define DatumGetMtlModelP(datum) ((MtlModel *) PG_DETOAST_DATUM(datum))

/* mtl_rank.max_model_size, in kB */
extern int	mtl_rank_max_model_size;

/* Error when a file of this size exceeds mtl_rank.max_model_size. */
extern void CheckModelSize(uint64 size);

/*
 * Wraps a file, which the caller has checked, in a new value.
 */
extern MtlModel *MtlModelMake(const char *file, Size size);

/*
 * The header of a value, checked: error for a layout that this version does not know, or
 * a damaged header.  Of a value that is not in memory no more than that is there.
 */
extern const MtlModel *MtlModelHeader(Datum value);

/*
 * The header, checked, and the beginning of the file, for ModelFileReadAgain().  That the
 * digest is the file's is known by reading it whole alone; what a damaged beginning leads
 * to is an error, or a description of what it says.
 */
extern const MtlModel *MtlModelBeginning(Datum value);

/* Checks the header of a value that is in memory. */
extern void MtlModelCheckHeader(const MtlModel *model);

/* Checks a whole value: its header, and that the digest is the file's. */
extern void MtlModelCheck(const MtlModel *model);

#endif							/* MTL_RANK_MODEL_VALUE_H */
