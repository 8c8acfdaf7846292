"""New projects and tasks: the files shipped with the package, `persona-assets init`, `new-task`.

Belongs here: what a user's folder starts with. The shipped files themselves are `prompts/`, `data/`
and `workspace.yaml` at the top of the repository; the build copies them into the wheel.
"""
