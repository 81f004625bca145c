-- What people are to be told, and have been.
CREATE SCHEMA notices;
