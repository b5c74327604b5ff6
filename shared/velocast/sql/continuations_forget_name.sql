-- A person's name taken out of the decisions on counters that continue others.
UPDATE {continuations} SET given_by = @instead WHERE given_by = @name
