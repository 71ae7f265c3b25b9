"""Words of the user's own: recording them, making a project of them, and mining long recordings for its mistakes."""
