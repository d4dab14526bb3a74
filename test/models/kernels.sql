-- For tests that compare kernels.

-- whether this CPU has what they need
CREATE FUNCTION usable(kernel text) RETURNS bool LANGUAGE plpgsql AS $$
BEGIN
	PERFORM set_config('mtl_rank.kernel', kernel, true);
	RETURN true;
EXCEPTION WHEN invalid_parameter_value THEN
	RETURN false;
END
$$;
