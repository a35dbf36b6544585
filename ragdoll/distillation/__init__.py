"""From a teacher and a corpus to a static model. The only room that imports torch."""
