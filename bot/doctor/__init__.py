"""`gatehouse doctor`: tries every part against the real thing, writes nothing, says how to mend what is wrong."""
