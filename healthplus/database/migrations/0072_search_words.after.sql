-- Words are compared in any script, and letters that stand alone are one word.
CALL search.refresh_all();
