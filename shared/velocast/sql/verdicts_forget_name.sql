-- A person's name taken out of the verdicts and notes.
UPDATE {verdicts} SET given_by = @instead WHERE given_by = @name
