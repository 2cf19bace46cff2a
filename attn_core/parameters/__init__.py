"""Counting parameters: one table a model, its rows and sums, checked against the model built without memory.

Start in `count.count_parameters`: it gives a `table.ParameterTable` of `tensors.Row`s. `architectures` has formulas;
`from_class` reads the table of a family without one off the class, which `meta_model` builds. `costs`, `scaling`,
`low_rank` and `tree` read the table. Nothing is loaded.
May import `settings`, `errors`, of `models` how a weights file is listed and, in `meta_model` alone, the library's own.
"""
