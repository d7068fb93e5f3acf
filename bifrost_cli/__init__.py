"""The `bifrost` command. May start anything; imports lazily."""
