-- Functions that write model files in SQL, after docs/model-format.md.

CREATE TYPE tensor AS (name text, dtype text, shape int[], data bytea);

CREATE FUNCTION reversed(bytes bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
	SELECT coalesce(string_agg(substr(bytes, i, 1), '' ORDER BY i DESC), '') FROM generate_series(1, length(bytes)) i
$$;

CREATE FUNCTION f32(name text, shape int[], VARIADIC numbers real[]) RETURNS tensor LANGUAGE sql IMMUTABLE AS $$
	SELECT (name, 'F32', shape, string_agg(reversed(float4send(n)), '' ORDER BY i))::tensor
	FROM unnest(numbers) WITH ORDINALITY u(n, i)
$$;

CREATE FUNCTION i64(name text, shape int[], VARIADIC numbers bigint[]) RETURNS tensor LANGUAGE sql IMMUTABLE AS $$
	SELECT (name, 'I64', shape, string_agg(reversed(int8send(n)), '' ORDER BY i))::tensor
	FROM unnest(numbers) WITH ORDINALITY u(n, i)
$$;

CREATE FUNCTION u8(name text, data text) RETURNS tensor LANGUAGE sql IMMUTABLE AS $$
	SELECT (name, 'U8', ARRAY[octet_length(data)], convert_to(data, 'UTF8'))::tensor
$$;

-- header and data, with the length before them
CREATE FUNCTION safetensors(header text, data bytea) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
	SELECT reversed(int8send(octet_length(header))) || convert_to(header, 'UTF8') || data
$$;

CREATE FUNCTION checksum(contract text, tensors tensor[]) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT encode(sha256(convert_to(contract, 'UTF8')
		|| coalesce(string_agg(convert_to(t.name, 'UTF8') || t.data, '' ORDER BY t.name COLLATE "C"), '')), 'hex')
	FROM unnest(tensors) t
$$;

CREATE FUNCTION model_file(contract text, VARIADIC tensors tensor[]) RETURNS bytea LANGUAGE sql IMMUTABLE AS $$
	SELECT safetensors(
		(jsonb_build_object('__metadata__', jsonb_build_object('mtl_rank', contract, 'mtl_rank_sha256', checksum(contract, tensors)))
			|| jsonb_object_agg(name, jsonb_build_object('dtype', dtype, 'shape', shape,
				'data_offsets', ARRAY[stop - length(data), stop])))::text,
		string_agg(data, '' ORDER BY i))
	FROM (SELECT t.*, sum(length(t.data)) OVER (ORDER BY i) AS stop FROM unnest(tensors) WITH ORDINALITY t(name, dtype, shape, data, i)) t
$$;
