"""How the Flux member speaks with an instance: bindings, jobspecs, the journal, output, exceptions."""
