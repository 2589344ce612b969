"""InCoder's model: text with holes in, text out.

Knows neither editors nor training. `loading.load_model` opens a model directory, `infill` fills its holes; importing the
package itself imports nothing heavy.
"""
