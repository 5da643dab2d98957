/**
 * Program of a deliberately bad image: it ends as soon as it starts, so the trial never comes up.
 */
process.stderr.write('this image is broken on purpose: its program ends at start\n');
process.exit(1);
